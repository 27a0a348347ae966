// Inference by TensorFlow Lite Micro: one interpreter, in the caller's arena, over the model where it lies in flash.
//
// dunlin_operators.inc is made at build time (tools/operators): X(NAME, AddName) for each operator that this firmware
// shall hold. The resolver registers only those of them that the manifest lists, so a model cannot use another.
#include <cstring>
#include <new>

#include "infer/infer.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

constexpr unsigned kOperators = 0
#define X(name, add) +1
#include "dunlin_operators.inc"
#undef X
    ;

using Resolver = tflite::MicroMutableOpResolver<(kOperators ? kOperators : 1)>;

const dl_op kHeld[] = {
#define X(name, add) {{reinterpret_cast<const uint8_t *>(#name), sizeof(#name) - 1}, UINT32_MAX},
#include "dunlin_operators.inc"
#undef X
    {{nullptr, 0}, 0},
};

constexpr uint32_t kVersion[3] = {DUNLIN_TFLM_VERSION};

alignas(Resolver) uint8_t resolver_room[sizeof(Resolver)];
alignas(tflite::MicroInterpreter) uint8_t interpreter_room[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter = nullptr;

bool is(const dl_op &op, const char *name, size_t size) {
  return op.name.size == size && std::memcmp(op.name.data, name, size) == 0;
}

TfLiteStatus Register(Resolver *resolver, const dl_op &op) {
#define X(name, add) \
  if (is(op, #name, sizeof(#name) - 1)) return resolver->add();
#include "dunlin_operators.inc"
#undef X
  return kTfLiteError;
}

int DtypeOf(TfLiteType type) {
  switch (type) {
    case kTfLiteBool: return DL_BOOL;
    case kTfLiteInt8: return DL_INT8;
    case kTfLiteUInt8: return DL_UINT8;
    case kTfLiteInt16: return DL_INT16;
    case kTfLiteUInt16: return DL_UINT16;
    case kTfLiteInt32: return DL_INT32;
    case kTfLiteUInt32: return DL_UINT32;
    case kTfLiteInt64: return DL_INT64;
    case kTfLiteUInt64: return DL_UINT64;
    case kTfLiteFloat16: return DL_FLOAT16;
    case kTfLiteFloat32: return DL_FLOAT32;
    case kTfLiteFloat64: return DL_FLOAT64;
    default: return -1;
  }
}

bool Same(const TfLiteTensor *have, const dl_tensor &want) {
  if (have == nullptr || DtypeOf(have->type) != want.dtype || have->dims->size != want.dimensions) return false;
  for (int i = 0; i < want.dimensions; i++) {
    if (want.shape[i] != -1 && want.shape[i] != have->dims->data[i]) return false;
  }
  return true;
}

// Whether the model's tensors are those that the manifest promises to the application.
bool AsPromised(const dl_variant *variant) {
  dl_tensor tensor;
  size_t at = 0;
  for (; dl_variant_tensor(variant, false, at, &tensor) == 1; at++) {
    if (at == interpreter->inputs_size() || !Same(interpreter->input(at), tensor)) return false;
  }
  if (at != interpreter->inputs_size()) return false;
  for (at = 0; dl_variant_tensor(variant, true, at, &tensor) == 1; at++) {
    if (at == interpreter->outputs_size() || !Same(interpreter->output(at), tensor)) return false;
  }
  return at == interpreter->outputs_size();
}

int Load(dunlin_span bytes, const dl_variant *variant, uint8_t *arena, uint32_t arena_size) {
  if (variant->arena > arena_size) return DUNLIN_E_ARENA;
  const tflite::Model *model = tflite::GetModel(bytes.data);
  if (bytes.size < 8 || !tflite::ModelBufferHasIdentifier(bytes.data) || model->version() != TFLITE_SCHEMA_VERSION ||
      model->subgraphs() == nullptr || model->subgraphs()->size() == 0) {
    return DUNLIN_E_MODEL;
  }
  // An interpreter that fails half-way is destroyed by what it finds in the arena: it must not be the last one's.
  std::memset(arena, 0, arena_size);
  auto *resolver = new (resolver_room) Resolver;
  dl_op op;
  for (size_t state = 0; dl_variant_next_op(variant, &state, &op) == 1;) {
    if (Register(resolver, op) != kTfLiteOk) return DUNLIN_E_OPERATOR;
  }
  interpreter = new (interpreter_room) tflite::MicroInterpreter(model, *resolver, arena, arena_size);
  if (interpreter->initialization_status() != kTfLiteOk || interpreter->AllocateTensors() != kTfLiteOk) {
    return DUNLIN_E_MODEL;
  }
  return AsPromised(variant) ? 0 : DUNLIN_E_MODEL;
}

}  // namespace

int dl_infer_load(struct dunlin_span model, const struct dl_variant *variant, uint8_t *arena, uint32_t arena_size,
                  uint32_t *used) {
  dl_infer_unload();
  const int error = Load(model, variant, arena, arena_size);
  if (error) {
    dl_infer_unload();
    return error;
  }
  *used = static_cast<uint32_t>(interpreter->arena_used_bytes());
  return 0;
}

void dl_infer_unload(void) {
  if (interpreter != nullptr) interpreter->~MicroInterpreter();
  interpreter = nullptr;
}

int dl_infer_reset(void) {
  if (interpreter == nullptr) return DUNLIN_E_NO_MODEL;
  return interpreter->Reset() == kTfLiteOk ? 0 : DUNLIN_E_INVOKE;
}

int dl_infer_run(const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs,
                 size_t output_count) {
  if (interpreter == nullptr) return DUNLIN_E_NO_MODEL;
  if (input_count != interpreter->inputs_size() || output_count != interpreter->outputs_size()) {
    return DUNLIN_E_ARGUMENT;
  }
  for (size_t i = 0; i < input_count; i++) {
    if (interpreter->input(i)->bytes != inputs[i].size) return DUNLIN_E_ARGUMENT;
  }
  for (size_t i = 0; i < input_count; i++) {
    std::memcpy(interpreter->input(i)->data.raw, inputs[i].data, inputs[i].size);
  }
  if (interpreter->Invoke() != kTfLiteOk) return DUNLIN_E_INVOKE;
  for (size_t i = 0; i < output_count; i++) {
    const TfLiteTensor *tensor = interpreter->output(i);
    outputs[i] = {reinterpret_cast<const uint8_t *>(tensor->data.raw), tensor->bytes};
  }
  return 0;
}

size_t dl_infer_inputs(void) { return interpreter == nullptr ? 0 : interpreter->inputs_size(); }

size_t dl_infer_outputs(void) { return interpreter == nullptr ? 0 : interpreter->outputs_size(); }

const struct dl_op *dl_infer_ops(size_t *count) {
  *count = DUNLIN_ALL_OPERATORS ? 0 : kOperators;
  return DUNLIN_ALL_OPERATORS ? nullptr : kHeld;
}

const uint32_t *dl_infer_version(void) { return kVersion; }
