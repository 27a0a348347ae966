/* Inference behind C: infer.cc (TensorFlow Lite Micro) or none.c (without it, every call is NO_RUNTIME). */
#ifndef DL_INFER_H
#define DL_INFER_H

#include "contract/verify.h"
#include "dunlin/port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One interpreter at a time, in the caller's arena; the model stays where it is (mapped flash, aligned to 16 bytes).
 * Only the operators that the manifest lists are registered: OPERATOR for one that this firmware does not hold,
 * ARENA, MODEL (tensors other than the manifest's io, version, not a model). `used`: bytes of the arena. */
int dl_infer_load(struct dunlin_span model, const struct dl_variant *variant, uint8_t *arena, uint32_t arena_size,
                  uint32_t *used);
void dl_infer_unload(void);
/* Forget what the model keeps between runs (variables), as after loading. 0, NO_MODEL, INVOKE. */
int dl_infer_reset(void);
/* Inputs are copied in and must have the tensors' sizes; outputs become spans into the arena, good until the next call.
 * Counts must be the model's. ARGUMENT, INVOKE, NO_MODEL. */
int dl_infer_run(const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs, size_t output_count);
/* How many tensors the loaded model has, so that golden samples can be held against it. */
size_t dl_infer_inputs(void);
size_t dl_infer_outputs(void);
/* Run the golden samples (CBOR record `golden`, in place) on the loaded model and compare: SELF_TEST, INVOKE, or the
 * schema's rules. The watchdog is kicked between samples. `slowest_us`: of the runs. In golden.c, over the above. */
int dl_infer_self_test(struct dunlin_span golden, const struct dl_variant *variant, const struct dunlin_board *board,
                       uint32_t *slowest_us);
/* Operators that this firmware holds, for the device description; NULL: every one. Version NULL: there is no runtime. */
const struct dl_op *dl_infer_ops(size_t *count);
const uint32_t *dl_infer_version(void); /* 3 numbers */

#ifdef __cplusplus
}
#endif
#endif
