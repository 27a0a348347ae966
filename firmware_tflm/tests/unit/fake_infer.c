/* Inference without a runtime, for tests: a "model" is u32 magic, u32 operator, u32 arena bytes, noise, CRC-32 of all that
 * (little-endian); its output depends on every byte of it and of the input. Golden samples hold it to that. */
#include "infer/infer.h"

#include <string.h>

#include "device/crc32.h"
#include "world.h"

#define MAGIC 0x454b4146u /* "FAKE" */
#define OUTPUT_BYTES 4

static const uint32_t version[3] = {0, 0, 0};
static const struct dl_op ops[] = {{{(const uint8_t *)"CONV_2D", 7}, UINT32_MAX}};
static struct dunlin_span loaded;
static uint8_t *result;

static uint32_t word(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

int dl_infer_load(struct dunlin_span model, const struct dl_variant *variant, uint8_t *arena, uint32_t arena_size,
                  uint32_t *used)
{
    (void)variant;
    if (model.size < 16 || word(model.data) != MAGIC)
        return DUNLIN_E_MODEL;
    if (word(model.data + 4) != 1)
        return DUNLIN_E_OPERATOR;
    if (word(model.data + 8) > arena_size)
        return DUNLIN_E_ARENA;
    if (word(model.data + model.size - 4) != dl_crc32(0, model.data, model.size - 4))
        return DUNLIN_E_MODEL;
    *used = word(model.data + 8);
    loaded = model;
    result = arena;
    return 0;
}

void dl_infer_unload(void) { loaded.data = NULL; }

int dl_infer_reset(void) { return loaded.data ? 0 : DUNLIN_E_NO_MODEL; }

int dl_infer_run(const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs, size_t output_count)
{
    uint32_t crc;

    if (!loaded.data)
        return DUNLIN_E_NO_MODEL;
    if (input_count != 1 || output_count != 1 || inputs[0].size != 4)
        return DUNLIN_E_ARGUMENT;
    if (memcmp(inputs[0].data, "FAIL", 4) == 0)
        return DUNLIN_E_INVOKE;
    crc = dl_crc32(dl_crc32(0, loaded.data, loaded.size), inputs[0].data, inputs[0].size);
    crc ^= world.computes_wrong;
    memcpy(result, &crc, sizeof crc);
    outputs[0] = (struct dunlin_span){result, OUTPUT_BYTES};
    return 0;
}

size_t dl_infer_inputs(void) { return 1; }
size_t dl_infer_outputs(void) { return 1; }

const struct dl_op *dl_infer_ops(size_t *count)
{
    *count = 1;
    return ops;
}

const uint32_t *dl_infer_version(void) { return version; }
