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
        ack->device = dl_content(payload, 1);
        memcpy(ack->stream, dl_bytes(payload, 2), DUNLIN_ID);
        ack->n = dl_number(payload, 3);
    }
    return error;
}

int dl_settings_open(struct dunlin_span record, struct dl_settings *settings) {
    static const uint16_t normal[] = {900, 60, 6, 20, 300, 20, 3600, 300}; /* by key, from 1 */
    uint32_t *const fields[] = {&settings->report_s,    &settings->report_jitter_s,    &settings->window,
                                &settings->timeout_s,   &settings->probation_s,        &settings->probation_requests,
                                &settings->probation_max_s, &settings->telemetry_s};
    const int error = dl_schema_check(record, DUNLIN_SETTINGS_BYTES, DL_RECORD_SETTINGS);
    for (uint8_t i = 0; i < sizeof normal / sizeof normal[0] && !error; i++) {
        const bool given = dl_lookup(record, i + 1).size > 0;
        *fields[i] = given ? (uint32_t)dl_number(record, i + 1) : normal[i];
    }
    return error;
}

/* ---- wipe orders ------------------------------------------------------------------------------------------------------- */

int dl_wipe_read(struct dunlin_span payload, struct dl_wipe_order *order) {
    const int error = dl_schema_check(payload, DUNLIN_WIPE_BYTES, DL_RECORD_WIPE_ORDER);
    if (error) {
        return error;
    }
    order->device = dl_content(payload, 1);
    memcpy(order->id, dl_bytes(payload, 2), DUNLIN_ID);
    order->models = dl_content(payload, 3);
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
    struct dunlin_span models = order->models, name;
    bool found = models.size == 0;
    while (models.size > 0 && !found) {
        dl_string(&models, DL_TEXT, 0, SIZE_MAX, &name);
        found = dl_same(name, model);
    }
    return found;
}

bool dl_wipe_covers(const struct dl_wipe_order *order, const char *model) {
    return covers(order, (struct dunlin_span){(const uint8_t *)model, strlen(model)});
}

int dl_wipe_check(const struct dl_wipe_order *order, const char *device, const struct dl_directive *directive) {
    struct dunlin_span models = directive->models_map, name;
    if (!dl_is(order->device, device)) {
        return DUNLIN_E_DEVICE;
    }
    while (models.size > 0) {
        dl_string(&models, DL_TEXT, 0, SIZE_MAX, &name);
        dl_item(&models);
        if (covers(order, name)) {
            return DUNLIN_E_WIPE_DESIRED;
        }
    }
    return 0;
}
