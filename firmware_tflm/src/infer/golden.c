/* The golden self-test: does this model, on this device, do what it did when it was built? The record is read where it
 * lies in flash; only one sample's spans are held at a time. */
#include <math.h>
#include <string.h>

#include "contract/schema.h"
#include "infer/infer.h"

#define TENSORS 4  /* inputs, and outputs, of a golden sample */

struct tensor {
    struct dunlin_span data;
    uint8_t dtype;
    uint32_t last; /* size of the last axis: where the largest element is looked for */
};

struct side {
    struct tensor tensor[TENSORS];
    size_t count;
};

static double item(const uint8_t *data, uint8_t dtype) {
    /* Little-endian, as everything this runs on: memcpy is the whole conversion. */
    union {
        int8_t i8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
    } as;
    memset(&as, 0, sizeof as);
    memcpy(&as, data, dl_dtype_size(dtype));
    switch (dtype) {
    case DL_INT8: return as.i8;
    case DL_INT16: return as.i16;
    case DL_UINT16: return as.u16;
    case DL_INT32: return as.i32;
    case DL_UINT32: return as.u32;
    case DL_INT64: return (double)as.i64;
    case DL_UINT64: return (double)as.u64;
    case DL_FLOAT32: return (double)as.f32;
    case DL_FLOAT64: return as.f64;
    default: return *data; /* bool, uint8; float16 has no kernels in TensorFlow Lite Micro */
    }
}

static int read_tensor(const uint8_t *record, struct tensor *tensor) {
    struct dunlin_span shape = dl_content(record, 2);
    uint64_t items = 1;
    tensor->data = dl_content(record, 3);
    tensor->dtype = (uint8_t)dl_choice_at(record, 1, DL_CHOICE_DTYPE);
    tensor->last = 1;
    while (shape.size > 0) {
        const uint8_t *number = dl_next(&shape);
        uint64_t dimension;
        dl_head(&number, &dimension);
        tensor->last = (uint32_t)dimension;
        items *= dimension;
        if (items > UINT32_MAX) {
            return DUNLIN_E_PAYLOAD_LENGTH;
        }
    }
    return items * dl_dtype_size(tensor->dtype) == tensor->data.size ? 0 : DUNLIN_E_PAYLOAD_LENGTH;
}

static int read_side(struct dunlin_span records, struct side *side) {
    int error = 0;
    for (side->count = 0; records.size > 0 && !error; side->count++) {
        if (side->count == TENSORS) {
            return DUNLIN_E_COUNT;
        }
        error = read_tensor(dl_next(&records), &side->tensor[side->count]);
    }
    return error;
}

/* Largest difference of any element; infinite where an output is not a number. */
static double difference(const struct tensor *want, const uint8_t *got) {
    const uint32_t size = dl_dtype_size(want->dtype);
    double worst = 0;
    for (size_t at = 0; at < want->data.size; at += size) {
        const double off = fabs(item(got + at, want->dtype) - item(want->data.data + at, want->dtype));
        if (!(off <= worst)) { /* also true for NaN */
            worst = isnan(off) ? (double)INFINITY : off;
        }
    }
    return worst;
}

/* Whether the expected largest element of each row is the largest that came; a tie agrees. */
static bool same_top(const struct tensor *want, const uint8_t *got) {
    const uint32_t size = dl_dtype_size(want->dtype), row = want->last * size;
    for (size_t at = 0; row > 0 && at < want->data.size; at += row) {
        size_t expected = at;
        double largest = item(got + at, want->dtype);
        for (size_t next = at; next < at + row; next += size) {
            if (item(want->data.data + next, want->dtype) > item(want->data.data + expected, want->dtype)) {
                expected = next;
            }
            const double value = item(got + next, want->dtype);
            largest = value > largest ? value : largest;
        }
        if (item(got + expected, want->dtype) < largest) {
            return false;
        }
    }
    return true;
}

static int run_sample(const struct side *in, const struct side *want, const struct dunlin_board *board, double *worst,
                      bool *top, uint32_t *slowest_us) {
    struct dunlin_span inputs[TENSORS], outputs[TENSORS];
    if (in->count != dl_infer_inputs() || want->count != dl_infer_outputs()) {
        return DUNLIN_E_SELF_TEST;
    }
    for (size_t i = 0; i < in->count; i++) {
        inputs[i] = in->tensor[i].data;
    }
    int error = dl_infer_reset(); /* as when the outputs were recorded */
    if (error) {
        return error;
    }
    const uint64_t before = board->uptime_ms(board->ctx);
    error = dl_infer_run(inputs, in->count, outputs, want->count);
    const uint64_t took_us = (board->uptime_ms(board->ctx) - before) * 1000;
    if (took_us > *slowest_us) {
        *slowest_us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    }
    if (error) {
        return error == DUNLIN_E_ARGUMENT ? DUNLIN_E_SELF_TEST : error;
    }
    for (size_t i = 0; i < want->count; i++) {
        if (outputs[i].size != want->tensor[i].data.size) {
            return DUNLIN_E_SELF_TEST;
        }
        const double off = difference(&want->tensor[i], outputs[i].data);
        *worst = off > *worst ? off : *worst;
    }
    *top = same_top(&want->tensor[0], outputs[0].data);
    return 0;
}

int dl_infer_self_test(struct dunlin_span golden, const struct dl_variant *variant, const struct dunlin_board *board,
                       uint32_t *slowest_us) {
    struct side in, want;
    double worst = 0;
    uint32_t samples = 0, agreed = 0;
    int error = dl_schema_check(golden, golden.size, DL_RECORD_GOLDEN);
    if (error) {
        return error;
    }
    *slowest_us = 0;
    for (struct dunlin_span left = dl_content(golden.data, 1); !error && left.size > 0; samples++) {
        const uint8_t *const sample = dl_next(&left);
        bool top = false;
        board->kick(board->ctx);
        error = read_side(dl_content(sample, 0), &in);
        if (!error) {
            error = read_side(dl_content(sample, 1), &want);
        }
        if (!error) {
            error = run_sample(&in, &want, board, &worst, &top, slowest_us);
        }
        agreed += top;
    }
    if (error) {
        return error;
    }
    const bool good = worst <= variant->tolerance && 1000 * agreed / samples >= variant->top1;
    return good ? 0 : DUNLIN_E_SELF_TEST;
}
