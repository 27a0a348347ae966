#include "contract/records.h"

#include <string.h>

#include "contract/cbor.h"
#include "contract/cose.h"
#include "contract/writer.h"

#define FORMAT 1

static int sign(const struct dl_writer *writer, const char *purpose, psa_key_id_t identity, uint8_t *out, size_t cap,
                size_t *size) {
    *size = (size_t)(writer->at - out);
    return writer->full ? DUNLIN_E_FULL : dl_cose_sign1(purpose, identity, out, cap, size);
}

static bool is_given(const char *text) {
    return text && text[0];
}

static void put_optional_text(struct dl_writer *to, uint32_t key, const char *text) {
    if (is_given(text)) {
        dl_put_text(to, key, text);
    }
}

static void put_optional_bytes(struct dl_writer *to, uint32_t key, const uint8_t *data, size_t size) {
    if (data && size) {
        dl_put_bytes(to, key, data, size);
    }
}

static void put_optional_number(struct dl_writer *to, uint32_t key, uint64_t number) {
    if (number) {
        dl_put_number(to, key, number);
    }
}

static void put_list(struct dl_writer *to, uint32_t key, size_t count) {
    dl_put_key(to, key);
    dl_put_head(to, DL_ARRAY, count);
}

static uint8_t *put_map(struct dl_writer *to, uint32_t key) {
    dl_put_key(to, key);
    return dl_put_map(to);
}

/* ---- events ------------------------------------------------------------------------------------------------------------ */

static const char *const event_kinds[] = {
    "boot",         "update-planned",     "update-refused", "update-probation",  "update-committed", "update-rolled-back",
    "model-removed", "worker-crashed",    "object-corrupt", "directive-refused", "lease-expired",    "wiped",
    "wipe-refused", "root-changed",       "device-fault",   "note"};

int dl_event_write(const struct dl_event *event, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size) {
    struct dl_writer to = {out, cap, false, out};
    dl_put_map(&to);
    dl_put_number(&to, 0, FORMAT);
    dl_put_bytes(&to, 1, event->stream, DUNLIN_ID);
    dl_put_number(&to, 2, event->n);
    dl_put_text(&to, 3, event_kinds[event->kind]);
    dl_put_number(&to, 4, event->time_s);
    dl_put_number(&to, 5, event->uptime_s);
    put_optional_text(&to, 6, event->model);
    put_optional_bytes(&to, 7, event->release, DUNLIN_DIGEST);
    put_optional_text(&to, 8, event->code);
    put_optional_text(&to, 9, event->text);
    put_optional_bytes(&to, 10, event->receipt.data, event->receipt.size);
    return sign(&to, "dnb/v1/event", identity, out, cap, size);
}

/* ---- reports ----------------------------------------------------------------------------------------------------------- */

static void put_version(struct dl_writer *to, uint32_t key, const uint32_t version[3]) {
    put_list(to, key, 3);
    for (int i = 0; i < 3; i++) {
        dl_put_head(to, DL_UINT, version[i]);
    }
}

static void put_runtime(struct dl_writer *to, const struct dl_runtime *runtime) {
    const bool lists = !runtime->any_op && runtime->op_count > 0;
    uint8_t *around = dl_put_map(to);
    dl_put_text(to, 0, runtime->name);
    put_version(to, 1, runtime->version);
    if (lists) {
        put_list(to, 2, runtime->op_count);
        for (size_t i = 0; i < runtime->op_count; i++) {
            uint8_t *info = dl_put_map(to);
            dl_put_key(to, 0);
            dl_put_span(to, DL_TEXT, runtime->ops[i].name);
            dl_put_number(to, 1, runtime->ops[i].version);
            to->map = info;
        }
    }
    to->map = around;
}

static void put_description(struct dl_writer *to, uint32_t key, const struct dl_description *device) {
    uint8_t *around = put_map(to, key);
    dl_put_text(to, 0, device->hardware_class);
    dl_put_text(to, 1, device->arch);
    dl_put_number(to, 2, device->memory);
    put_optional_number(to, 3, device->flash);
    put_optional_number(to, 4, device->arena);
    put_list(to, 5, device->runtime_count);
    for (size_t i = 0; i < device->runtime_count; i++) {
        put_runtime(to, &device->runtimes[i]);
    }
    put_map(to, 6);
    dl_put_text(to, 0, device->keystore);
    dl_put_text(to, 1, device->model_store);
    to->map = around;
}

static void put_model_state(struct dl_writer *to, const struct dl_model_state *model) {
    dl_put_name(to, model->model);
    uint8_t *around = dl_put_map(to);
    dl_put_text(to, 0, model->phase);
    put_optional_bytes(to, 1, model->active, DUNLIN_DIGEST);
    put_optional_bytes(to, 2, model->previous, DUNLIN_DIGEST);
    put_optional_bytes(to, 3, model->candidate, DUNLIN_DIGEST);
    put_optional_text(to, 4, model->error_code);
    put_optional_text(to, 5, model->error_text);
    put_optional_text(to, 6, model->variant);
    put_optional_number(to, 7, model->served);
    put_optional_number(to, 8, model->chunks_have);
    put_optional_number(to, 9, model->chunks_need);
    to->map = around;
}

static void put_models(struct dl_writer *to, const struct dl_report *report) {
    const struct dl_model_state refused = {.model = report->refused_model,
                                           .phase = "refused",
                                           .error_code = "no-slot",
                                           .error_text = "this device holds one model"};
    const bool own = is_given(report->model.model), other = is_given(refused.model);
    /* Keys ascend by their encoded bytes: the shorter name first. */
    bool own_first = own;
    if (own && other) {
        const size_t a = strlen(report->model.model), b = strlen(refused.model);
        own_first = a != b ? a < b : strcmp(report->model.model, refused.model) < 0;
    }
    uint8_t *around = put_map(to, 5);
    if (own_first) {
        put_model_state(to, &report->model);
    }
    if (other) {
        put_model_state(to, &refused);
    }
    if (own && !own_first) {
        put_model_state(to, &report->model);
    }
    to->map = around;
}

int dl_report_write(const struct dl_report *report, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size) {
    struct dl_writer to = {out, cap, false, out};
    dl_put_map(&to);
    dl_put_number(&to, 0, FORMAT);
    dl_put_number(&to, 1, report->epoch);
    dl_put_number(&to, 2, report->seq);
    dl_put_bytes(&to, 3, report->nonce, DUNLIN_ID);
    if (report->missing_count > 0) {
        put_list(&to, 4, report->missing_count);
        for (size_t i = 0; i < report->missing_count; i++) {
            dl_put_span(&to, DL_BYTES, (struct dunlin_span){report->missing[i], DUNLIN_DIGEST});
        }
    }
    put_models(&to, report);
    put_description(&to, 6, report->device);
    dl_put_number(&to, 7, report->number);
    dl_put_number(&to, 8, report->uptime_s);
    dl_put_number(&to, 9, report->time_s);
    dl_put_text(&to, 10, report->agent_version);
    dl_put_number(&to, 12, report->root_version);
    return sign(&to, "dnb/v1/reported", identity, out, cap, size);
}

/* ---- receipts, enrolment ------------------------------------------------------------------------------------------------- */

int dl_receipt_write(const struct dl_receipt *receipt, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size) {
    struct dl_writer to = {out, cap, false, out};
    dl_put_map(&to);
    dl_put_number(&to, 0, FORMAT);
    dl_put_text(&to, 1, receipt->device);
    dl_put_bytes(&to, 2, receipt->order_digest, DUNLIN_DIGEST);
    put_list(&to, 3, is_given(receipt->model));
    if (is_given(receipt->model)) {
        uint8_t *around = dl_put_map(&to);
        dl_put_text(&to, 0, receipt->model);
        put_list(&to, 1, receipt->release_count);
        for (size_t i = 0; i < receipt->release_count; i++) {
            dl_put_span(&to, DL_BYTES, (struct dunlin_span){receipt->releases[i], DUNLIN_DIGEST});
        }
        to.map = around;
    }
    dl_put_text(&to, 4, receipt->method);
    dl_put_text(&to, 5, "clear"); /* the keys of a microcontroller lie in no hardware of their own */
    dl_put_key(&to, 6);
    dl_put_head(&to, DL_SIMPLE, receipt->canary_unreadable ? 21 : 20);
    dl_put_number(&to, 7, receipt->files);
    dl_put_number(&to, 8, receipt->bytes);
    dl_put_number(&to, 9, receipt->time_s);
    dl_put_bytes(&to, 10, receipt->kem, DUNLIN_SPKI);
    return sign(&to, "dnb/v1/receipt", identity, out, cap, size);
}

int dl_enrol_write(const struct dl_enrol_request *request, psa_key_id_t identity, uint8_t *out, size_t cap,
                   size_t *size) {
    struct dl_writer to = {out, cap, false, out};
    dl_put_map(&to);
    dl_put_number(&to, 0, FORMAT);
    dl_put_text(&to, 1, request->device);
    dl_put_bytes(&to, 2, request->token_id, 8);
    dl_put_bytes(&to, 3, request->secret, 16);
    dl_put_bytes(&to, 4, request->identity, DUNLIN_SPKI);
    dl_put_bytes(&to, 5, request->kem, DUNLIN_SPKI);
    put_description(&to, 6, request->description);
    return sign(&to, "dnb/v1/enrol", identity, out, cap, size);
}
