# TensorFlow Lite Micro, as upstream's own make builds it. Give TFLM_ROOT: a checkout of upstream in which its
# `microlite` target was made for this processor (README, "TensorFlow Lite Micro"). Defines the target TFLM::TFLM.
#
#   TFLM_ROOT      the checkout
#   TFLM_LIBRARY   libtensorflow-microlite.a, where more than one under TFLM_ROOT/gen fits
#   TFLM_TARGET    pattern of the folder under gen, such as cortex_m_generic_cortex-m4*
set(_tflm_downloads "${TFLM_ROOT}/tensorflow/lite/micro/tools/make/downloads")
find_path(TFLM_INCLUDE_DIR tensorflow/lite/micro/micro_interpreter.h PATHS "${TFLM_ROOT}" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(NOT TFLM_LIBRARY)
  file(GLOB _tflm_found "${TFLM_ROOT}/gen/${TFLM_TARGET}/lib/libtensorflow-microlite.a")
  list(LENGTH _tflm_found _tflm_count)
  if(_tflm_count GREATER 1)
    message(FATAL_ERROR "several libraries fit ${TFLM_TARGET}: set TFLM_LIBRARY to one of ${_tflm_found}")
  endif()
  set(TFLM_LIBRARY "${_tflm_found}")
endif()
# TFLM has no releases: the day of its last change stands for a version, as in its wheels.
execute_process(COMMAND git -C "${TFLM_ROOT}" log -1 --format=%cd --date=format:%Y%m%d
                OUTPUT_VARIABLE _tflm_day OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT _tflm_day MATCHES "^[0-9]+$")
  set(_tflm_day 0)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TFLM REQUIRED_VARS TFLM_LIBRARY TFLM_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "TFLM_ROOT must be a checkout of TensorFlow Lite Micro with gen/${TFLM_TARGET}/lib/libtensorflow-microlite.a made")
if(TFLM_FOUND AND NOT TARGET TFLM::TFLM)
  add_library(TFLM::TFLM STATIC IMPORTED)
  set_target_properties(TFLM::TFLM PROPERTIES
    IMPORTED_LOCATION "${TFLM_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES
      "${TFLM_INCLUDE_DIR};${_tflm_downloads}/flatbuffers/include;${_tflm_downloads}/gemmlowp"
    INTERFACE_COMPILE_DEFINITIONS
      "TF_LITE_STATIC_MEMORY;TF_LITE_DISABLE_X86_NEON;KERNELS_OPTIMIZED_FOR_SPEED;NDEBUG;DUNLIN_TFLM_VERSION=0,${_tflm_day},0")
endif()
