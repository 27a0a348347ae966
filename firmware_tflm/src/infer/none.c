/* Without TensorFlow Lite Micro: everything but inference works, and every model is refused by name. */
#include "infer/infer.h"

int dl_infer_load(struct dunlin_span model, const struct dl_variant *variant, uint8_t *arena, uint32_t arena_size,
                  uint32_t *used) {
    (void)model, (void)variant, (void)arena, (void)arena_size, (void)used;
    return DUNLIN_E_NO_RUNTIME;
}

void dl_infer_unload(void) {}

int dl_infer_reset(void) { return DUNLIN_E_NO_RUNTIME; }

int dl_infer_run(const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs,
                 size_t output_count) {
    (void)inputs, (void)input_count, (void)outputs, (void)output_count;
    return DUNLIN_E_NO_RUNTIME;
}

size_t dl_infer_inputs(void) { return 0; }

size_t dl_infer_outputs(void) { return 0; }

const struct dl_op *dl_infer_ops(size_t *count) {
    *count = 0;
    return NULL;
}

const uint32_t *dl_infer_version(void) { return NULL; }
