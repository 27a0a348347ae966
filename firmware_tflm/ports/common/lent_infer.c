/* Messages, numbers little-endian u32. To the lender: what, length, bytes. Back: status (0, or 1 + place in `errors`),
 * length, bytes.
 *   LOAD  arena size, model         -> inputs, outputs; for each tensor: bytes, dtype, dimensions, each of them
 *   RUN   all inputs                -> all outputs
 *   RESET                           -> */
#include "lent_infer.h"

#include <string.h>

#include "infer/infer.h"

#define TENSORS 4
enum { LOAD = 1, RUN = 2, RESET = 3 };

static const int errors[] = {DUNLIN_E_MODEL, DUNLIN_E_ARENA, DUNLIN_E_INVOKE};
static const uint32_t version[3] = {0, 0, 0}; /* TFLM has no versions that a model could ask for */

static const struct lent_pipe *pipe;
static struct {
    bool loaded;
    uint32_t inputs, outputs;
    uint32_t bytes[2 * TENSORS]; /* of each input, then each output */
    uint8_t *arena;
    uint32_t arena_size;
} state;

void lent_infer_use(const struct lent_pipe *use) { pipe = use; }

static bool send(const void *data, size_t size) { return pipe->send(pipe->ctx, data, size); }

static bool receive(void *data, size_t size) { return pipe->receive(pipe->ctx, data, size); }

static bool send_word(uint32_t word) { return send(&word, sizeof word); }

static bool receive_word(uint32_t *word) { return receive(word, sizeof *word); }

/* The answer's status and length. */
static int answer(uint32_t *length) {
    uint32_t status;
    if (!receive_word(&status) || !receive_word(length)) {
        return DUNLIN_E_NO_RUNTIME;
    }
    if (status == 0) {
        return 0;
    }
    return status <= sizeof errors / sizeof *errors ? errors[status - 1] : DUNLIN_E_MODEL;
}

/* Reads one tensor's line and compares it with the manifest's. */
static bool as_promised(const struct dl_variant *variant, bool output, size_t index, uint32_t *bytes) {
    uint32_t dtype, dimensions, length;
    struct dl_tensor want;
    bool same = dl_variant_tensor(variant, output, index, &want) == 1;
    if (!receive_word(bytes) || !receive_word(&dtype) || !receive_word(&dimensions) || dimensions > 8) {
        return false;
    }
    same = same && dtype == want.dtype && dimensions == want.dimensions;
    for (uint32_t i = 0; i < dimensions; i++) {
        if (!receive_word(&length)) {
            return false;
        }
        same = same && (want.shape[i] == -1 || (uint32_t)want.shape[i] == length);
    }
    return same;
}

static int read_tensors(const struct dl_variant *variant) {
    struct dl_tensor more;
    bool same = true;
    if (!receive_word(&state.inputs) || !receive_word(&state.outputs) || state.inputs > TENSORS ||
        state.outputs > TENSORS) {
        return DUNLIN_E_MODEL;
    }
    for (uint32_t i = 0; i < state.inputs + state.outputs; i++) {
        const bool output = i >= state.inputs;
        same = as_promised(variant, output, output ? i - state.inputs : i, &state.bytes[i]) && same;
    }
    same = same && dl_variant_tensor(variant, false, state.inputs, &more) == 0 &&
           dl_variant_tensor(variant, true, state.outputs, &more) == 0;
    return same ? 0 : DUNLIN_E_MODEL;
}

int dl_infer_load(struct dunlin_span model, const struct dl_variant *variant, uint8_t *arena, uint32_t arena_size,
                  uint32_t *used) {
    uint32_t length;
    dl_infer_unload();
    if (pipe == NULL) {
        return DUNLIN_E_NO_RUNTIME;
    }
    if (variant->arena > arena_size) {
        return DUNLIN_E_ARENA;
    }
    if (!send_word(LOAD) || !send_word((uint32_t)(sizeof arena_size + model.size)) || !send_word(arena_size) ||
        !send(model.data, model.size)) {
        return DUNLIN_E_NO_RUNTIME;
    }
    int error = answer(&length);
    if (!error) {
        error = read_tensors(variant);
        *used = variant->arena; /* the wheel does not say; what was measured at the build is what it had at most */
    }
    state.loaded = !error;
    state.arena = arena;
    state.arena_size = arena_size;
    return error;
}

void dl_infer_unload(void) { memset(&state, 0, sizeof state); }

int dl_infer_reset(void) {
    uint32_t length;
    if (!state.loaded) {
        return DUNLIN_E_NO_MODEL;
    }
    return send_word(RESET) && send_word(0) ? answer(&length) : DUNLIN_E_NO_RUNTIME;
}

int dl_infer_run(const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs,
                 size_t output_count) {
    uint32_t length = 0, at = 0;
    if (!state.loaded) {
        return DUNLIN_E_NO_MODEL;
    }
    if (input_count != state.inputs || output_count != state.outputs) {
        return DUNLIN_E_ARGUMENT;
    }
    for (size_t i = 0; i < input_count; i++) {
        if (inputs[i].size != state.bytes[i]) {
            return DUNLIN_E_ARGUMENT;
        }
        length += state.bytes[i];
    }
    if (!send_word(RUN) || !send_word(length)) {
        return DUNLIN_E_NO_RUNTIME;
    }
    for (size_t i = 0; i < input_count; i++) {
        if (!send(inputs[i].data, inputs[i].size)) {
            return DUNLIN_E_NO_RUNTIME;
        }
    }
    const int error = answer(&length);
    if (error) {
        return error;
    }
    if (length > state.arena_size || !receive(state.arena, length)) {
        return DUNLIN_E_NO_RUNTIME;
    }
    for (size_t i = 0; i < output_count; i++) {
        outputs[i] = (struct dunlin_span){state.arena + at, state.bytes[input_count + i]};
        at += state.bytes[input_count + i];
    }
    return at == length ? 0 : DUNLIN_E_MODEL;
}

size_t dl_infer_inputs(void) { return state.inputs; }

size_t dl_infer_outputs(void) { return state.outputs; }

const struct dl_op *dl_infer_ops(size_t *count) {
    *count = 0; /* every operator: the wheel has them all */
    return NULL;
}

const uint32_t *dl_infer_version(void) { return pipe == NULL ? NULL : version; }
