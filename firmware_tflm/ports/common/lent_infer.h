/* Inference for simulated boards that have no TensorFlow Lite Micro: a process on the host (tools/lend-runtime) runs
 * TFLM's own kernels for them, from the tflite-micro wheel. It knows nothing of bundles or slots: model and inputs go
 * there, outputs come back, and all else (trial, golden self-test, probation) happens here, as on a board. */
#ifndef DUNLIN_LENT_INFER_H
#define DUNLIN_LENT_INFER_H

#include <stdbool.h>
#include <stddef.h>

/* How the port reaches the process: blocking, all of the bytes or false. Until this is set, models are refused with
 * NO_RUNTIME. */
struct lent_pipe {
    void *ctx;
    bool (*send)(void *ctx, const void *data, size_t size);
    bool (*receive)(void *ctx, void *data, size_t size);
};
void lent_infer_use(const struct lent_pipe *pipe);

#endif
