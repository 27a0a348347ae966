/* One variant of a checked manifest, as this device needs it. */
#include <string.h>

#include "contract/manifest.h"

static int copy_payload(const uint8_t *payload, uint32_t leaf, struct dl_payload *out) {
    const uint64_t installed = dl_number(payload, DL_P_INSTALLED);
    dl_copy_bytes(out->id, DUNLIN_ID, payload, DL_P_ID);
    dl_copy_bytes(out->sha256, DUNLIN_DIGEST, payload, DL_P_SHA256);
    dl_copy_bytes(out->merkle, DUNLIN_DIGEST, payload, DL_P_MERKLE);
    out->role = (uint8_t)dl_choice_at(payload, DL_P_ROLE, DL_CHOICE_PAYLOAD_ROLE);
    out->installed = (uint32_t)installed;
    out->chunks = (uint32_t)dl_number(payload, DL_P_CHUNKS);
    out->leaf_from = leaf;
    return installed > UINT32_MAX ? DUNLIN_E_SLOT_SIZE : 0;
}

int dl_variant_at(const struct dl_manifest *manifest, uint8_t index, struct dl_variant *variant) {
    const uint8_t *const record = dl_item_at(manifest->variant_list, index);
    const uint8_t *const golden = dl_lookup(record, DL_V_GOLDEN), *const fit = dl_lookup(record, DL_V_FIT);
    struct dunlin_span indexes = dl_content(record, DL_V_PAYLOADS), payloads = manifest->payload_list;
    uint32_t leaf = 0, place = 0;
    int error = 0;
    memset(variant, 0, sizeof *variant);
    while (indexes.size > 0 && !error) {
        if (variant->payloads == DUNLIN_PAYLOADS) {
            return DUNLIN_E_COUNT;
        }
        const uint32_t wanted = dl_take_number(&indexes);
        for (; place < wanted; place++) {
            leaf += (uint32_t)dl_number(dl_next(&payloads), DL_P_CHUNKS);
        }
        struct dl_payload *one = &variant->payload[variant->payloads];
        error = copy_payload(payloads.data, leaf, one);
        if (one->role == DL_MODEL) {
            variant->model = variant->payloads;
        }
        if (wanted == dl_number(golden, 0)) {
            variant->golden = variant->payloads;
        }
        variant->payloads++;
    }
    const uint64_t arena = dl_number(fit, DL_F_ARENA);
    dl_copy_text(variant->kind, sizeof variant->kind, dl_content(record, DL_V_KIND));
    variant->index = index;
    variant->arena = arena > UINT32_MAX ? UINT32_MAX : (uint32_t)arena;
    variant->tolerance = dl_real(golden, 1);
    variant->top1 = (uint16_t)dl_number(golden, 2);
    variant->p95_us = (uint32_t)dl_number(dl_lookup(record, DL_V_BUDGET), 0);
    variant->fit = fit;
    variant->io = dl_lookup(record, DL_V_IO);
    return error;
}

int dl_variant_choose(const struct dl_manifest *manifest, const struct dl_description *device,
                      struct dl_variant *variant, void (*say)(void *ctx, const char *line), void *ctx) {
    for (uint8_t index = 0; index < manifest->variants; index++) {
        const uint8_t *const fit = dl_lookup(dl_item_at(manifest->variant_list, index), DL_V_FIT);
        if (dl_fit(fit, device, say, ctx) == 0) {
            return dl_variant_at(manifest, index, variant);
        }
    }
    return DUNLIN_E_NO_VARIANT;
}

/* Up to a multiple of `unit`, a power of two. */
static uint64_t round_up(uint64_t size, uint32_t unit) {
    return (size + unit - 1) & ~(uint64_t)(unit - 1);
}

uint32_t dl_slot_bytes(const struct dl_variant *variant, uint32_t sector) {
    const uint32_t unit = sector > 4096 ? sector : 4096;
    uint64_t chunks = 0, sum = unit; /* the manifest's envelope */
    for (int i = 0; i < variant->payloads; i++) {
        sum += round_up(variant->payload[i].installed, unit);
        chunks += variant->payload[i].chunks;
    }
    sum += round_up(64 + 32 * chunks, unit) + round_up(32 * chunks, unit);
    return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

/* ---- operators and tensors ------------------------------------------------------------------------------------------------ */

int dl_variant_next_op(const struct dl_variant *variant, size_t *state, struct dl_op *op) {
    struct dunlin_span list = dl_content(variant->fit, DL_F_OPS);
    list.data += *state, list.size -= *state;
    if (list.size == 0) {
        return 0;
    }
    const struct dunlin_span item = dl_item(&list);
    *state += item.size;
    op->name = dl_content(item.data, 0);
    op->version = (uint32_t)dl_number(item.data, 1);
    return 1;
}

int dl_variant_tensor(const struct dl_variant *variant, bool output, size_t index, struct dl_tensor *tensor) {
    const uint8_t *const item = dl_item_at(dl_content(variant->io, output), (uint32_t)index);
    if (!item) {
        return 0;
    }
    struct dunlin_span shape = dl_content(item, 2);
    tensor->name = dl_content(item, 0);
    tensor->dtype = (uint8_t)dl_choice_at(item, 1, DL_CHOICE_DTYPE);
    for (tensor->dimensions = 0; shape.size > 0; tensor->dimensions++) {
        const uint8_t *dimension = dl_next(&shape);
        uint64_t size;
        const bool is_free = dl_head(&dimension, &size) == DL_NEGATIVE;
        tensor->shape[tensor->dimensions] = is_free ? -1 : (int32_t)size;
    }
    return 1;
}

int dl_dtype_of(struct dunlin_span name) {
    return dl_choice(DL_CHOICE_DTYPE, name);
}

uint32_t dl_dtype_size(uint8_t dtype) {
    static const uint8_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8}; /* in the order of enum dl_dtype */
    return sizes[dtype];
}
