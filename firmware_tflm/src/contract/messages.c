/* The small messages: acknowledgements, settings, wipe orders. */
#include <string.h>

#include "contract/cose.h"
#include "contract/schema.h"

int dl_ack_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_ack *ack) {
    struct dunlin_span payload;
    int error = dl_cose_verify1(envelope, "dnb/v1/ack", (struct dl_signers){root, DL_ROLE_DIRECTOR, NULL},
                                DUNLIN_ACK_BYTES, &payload);
    if (!error) {
        error = dl_schema_check(payload, DUNLIN_ACK_BYTES, DL_RECORD_ACK);
    }
    if (!error) {
        ack->device = dl_content(payload.data, 1);
        dl_copy_bytes(ack->stream, DUNLIN_ID, payload.data, 2);
        ack->n = dl_number(payload.data, 3);
    }
    return error;
}

int dl_settings_open(struct dunlin_span record, struct dl_settings *settings) {
    static const uint16_t normal[] = {900, 60, 6, 20, 300, 20, 3600, 300}; /* by key, from 1 */
    _Static_assert(sizeof *settings == sizeof normal / sizeof normal[0] * sizeof(uint32_t), "in the order of their keys");
    const int error = dl_schema_check(record, DUNLIN_SETTINGS_BYTES, DL_RECORD_SETTINGS);
    for (uint8_t i = 0; i < sizeof normal / sizeof normal[0] && !error; i++) {
        const bool given = dl_lookup(record.data, i + 1) != NULL;
        const uint32_t value = given ? (uint32_t)dl_number(record.data, i + 1) : normal[i];
        memcpy((uint8_t *)settings + i * sizeof value, &value, sizeof value);
    }
    return error;
}

/* ---- wipe orders ------------------------------------------------------------------------------------------------------- */

int dl_wipe_read(struct dunlin_span payload, struct dl_wipe_order *order) {
    const int error = dl_schema_check(payload, DUNLIN_WIPE_BYTES, DL_RECORD_WIPE_ORDER);
    if (error) {
        return error;
    }
    order->device = dl_content(payload.data, 1);
    dl_copy_bytes(order->id, DUNLIN_ID, payload.data, 2);
    order->models = dl_content(payload.data, 3);
    return dl_sha256(payload, order->digest);
}

int dl_wipe_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_wipe_order *order) {
    struct dunlin_span payload;
    const uint32_t stated = dl_root_threshold(root, DL_ROLE_OPS);
    const int error = dl_cose_verify(envelope, "dnb/v1/wipe", (struct dl_signers){root, DL_ROLE_OPS, NULL},
                                     stated > 2 ? stated : 2, DUNLIN_WIPE_BYTES, &payload);
    return error ? error : dl_wipe_read(payload, order);
}

static bool covers(const struct dl_wipe_order *order, struct dunlin_span model) {
    struct dunlin_span models = order->models;
    bool found = models.size == 0;
    while (models.size > 0 && !found) {
        found = dl_same(dl_take(&models), model);
    }
    return found;
}

bool dl_wipe_covers(const struct dl_wipe_order *order, const char *model) {
    return covers(order, (struct dunlin_span){(const uint8_t *)model, strlen(model)});
}

int dl_wipe_check(const struct dl_wipe_order *order, const char *device, const struct dl_directive *directive) {
    struct dunlin_span models = directive->models_map;
    if (!dl_is(order->device, device)) {
        return DUNLIN_E_DEVICE;
    }
    while (models.size > 0) {
        const bool covered = covers(order, dl_take(&models));
        dl_next(&models);
        if (covered) {
            return DUNLIN_E_WIPE_DESIRED;
        }
    }
    return 0;
}
