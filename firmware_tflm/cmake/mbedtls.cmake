# Mbed TLS 2.28's crypto half as the target `mbedcrypto`, with ports/common/mbedtls_config.h.
if(NOT EXISTS "${MBEDTLS_ROOT}/include/psa/crypto.h")
    message(FATAL_ERROR "no Mbed TLS in ${MBEDTLS_ROOT}: run firmware_tflm/tools/get-mbedtls first, or pass -DMBEDTLS_ROOT=/path")
endif()
file(STRINGS "${MBEDTLS_ROOT}/include/mbedtls/version.h" mbedtls_version REGEX "MBEDTLS_VERSION_STRING ")
if(NOT mbedtls_version MATCHES "\"2\\.28\\.")
    message(FATAL_ERROR "${MBEDTLS_ROOT} is not Mbed TLS 2.28: another version is built by its own project, as target mbedcrypto")
endif()

set(mbedtls_sources
    asn1parse asn1write bignum chacha20 chachapoly cipher cipher_wrap constant_time ecdh ecdsa ecp ecp_curves hmac_drbg md platform_util
    poly1305 psa_crypto psa_crypto_aead psa_crypto_cipher psa_crypto_client psa_crypto_driver_wrappers psa_crypto_ecp
    psa_crypto_hash psa_crypto_mac psa_crypto_slot_management psa_crypto_storage sha256)
list(TRANSFORM mbedtls_sources PREPEND "${MBEDTLS_ROOT}/library/")
list(TRANSFORM mbedtls_sources APPEND ".c")
add_library(mbedcrypto STATIC ${mbedtls_sources})
target_include_directories(mbedcrypto SYSTEM PUBLIC "${MBEDTLS_ROOT}/include" PRIVATE "${MBEDTLS_ROOT}/library")
target_include_directories(mbedcrypto PUBLIC "${PROJECT_SOURCE_DIR}/ports/common")
target_compile_definitions(mbedcrypto PUBLIC MBEDTLS_CONFIG_FILE="mbedtls_config.h")
target_compile_options(mbedcrypto PRIVATE -w)
# The core calls the crypto library, that calls random.c and its_store.c, and its_store keeps its keys with the core's
# journal: the linker has to go around once more than CMake's default.
target_link_libraries(mbedcrypto INTERFACE dunlin_port)
set_target_properties(mbedcrypto PROPERTIES LINK_INTERFACE_MULTIPLICITY 3)
