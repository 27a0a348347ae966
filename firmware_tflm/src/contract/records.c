#include "contract/records.h"

#include <string.h>

#include "contract/cbor.h"
#include "contract/cose.h"
#include "contract/writer.h"

#define FORMAT 1
#define PUT(to, fields, record) dl_put_fields(to, fields, sizeof(fields) / sizeof(fields)[0], record)

static void begin(struct dl_writer *to, uint8_t *out, size_t cap) {
    *to = (struct dl_writer){out, cap, false, out};
    dl_put_map(to);
    dl_put_key(to, 0);
    dl_put_head(to, DL_UINT, FORMAT);
}

/* Of a record that is whole: its outermost map is the one that is open. */
static int sign(const struct dl_writer *writer, const char *purpose, psa_key_id_t identity, size_t *size) {
    *size = (size_t)(writer->at - writer->map);
    return writer->full ? DUNLIN_E_FULL : dl_cose_sign1(purpose, identity, writer->map, writer->room + *size, size);
}

static bool is_given(const char *text) {
    return text && text[0];
}

static void put_list(struct dl_writer *to, uint32_t key, size_t count) {
    dl_put_key(to, key);
    dl_put_head(to, DL_ARRAY, count);
}

static uint8_t *put_map(struct dl_writer *to, uint32_t key) {
    dl_put_key(to, key);
    return dl_put_map(to);
}

static void put_digest(struct dl_writer *to, const uint8_t digest[DUNLIN_DIGEST]) {
    dl_put_span(to, DL_BYTES, (struct dunlin_span){digest, DUNLIN_DIGEST});
}

/* ---- events ------------------------------------------------------------------------------------------------------------ */

static const char *const event_kinds[] = {
    "boot",         "update-planned",     "update-refused", "update-probation",  "update-committed", "update-rolled-back",
    "model-removed", "worker-crashed",    "object-corrupt", "directive-refused", "lease-expired",    "wiped",
    "wipe-refused", "root-changed",       "device-fault",   "note"};

int dl_event_write(const struct dl_event *event, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size) {
    static const struct dl_field which[] = {DL_PUT_BYTES(1, dl_event, stream, DUNLIN_ID), DL_PUT_NUMBER(2, dl_event, n)};
    static const struct dl_field what[] = {
        DL_PUT_NUMBER(4, dl_event, time_s),
        DL_PUT_NUMBER(5, dl_event, uptime_s),
        DL_PUT_TEXT(6 | DL_OPTIONAL, dl_event, model),
        DL_PUT_BYTES(7 | DL_OPTIONAL, dl_event, release, DUNLIN_DIGEST),
        DL_PUT_TEXT(8 | DL_OPTIONAL, dl_event, code),
        DL_PUT_TEXT(9 | DL_OPTIONAL, dl_event, text),
    };
    struct dl_writer to;
    begin(&to, out, cap);
    PUT(&to, which, event);
    dl_put_key(&to, 3);
    dl_put_text(&to, event_kinds[event->kind]);
    PUT(&to, what, event);
    if (event->receipt.size > 0) {
        dl_put_key(&to, 10);
        dl_put_span(&to, DL_BYTES, event->receipt);
    }
    return sign(&to, "dnb/v1/event", identity, size);
}

/* ---- reports ----------------------------------------------------------------------------------------------------------- */

static void put_runtime(struct dl_writer *to, const struct dl_runtime *runtime) {
    uint8_t *around = dl_put_map(to);
    dl_put_key(to, 0);
    dl_put_text(to, runtime->name);
    put_list(to, 1, 3);
    for (int i = 0; i < 3; i++) {
        dl_put_head(to, DL_UINT, runtime->version[i]);
    }
    if (!runtime->any_op && runtime->op_count > 0) {
        put_list(to, 2, runtime->op_count);
        for (size_t i = 0; i < runtime->op_count; i++) {
            uint8_t *info = dl_put_map(to);
            dl_put_key(to, 0);
            dl_put_span(to, DL_TEXT, runtime->ops[i].name);
            dl_put_key(to, 1);
            dl_put_head(to, DL_UINT, runtime->ops[i].version);
            to->map = info;
        }
    }
    to->map = around;
}

static void put_description(struct dl_writer *to, const struct dl_description *device) {
    static const struct dl_field board[] = {
        DL_PUT_TEXT(0, dl_description, hardware_class),
        DL_PUT_TEXT(1, dl_description, arch),
        DL_PUT_NUMBER(2, dl_description, memory),
        DL_PUT_NUMBER(3 | DL_OPTIONAL, dl_description, flash),
        DL_PUT_NUMBER(4 | DL_OPTIONAL, dl_description, arena),
    };
    static const struct dl_field stores[] = {
        DL_PUT_TEXT(0, dl_description, keystore),
        DL_PUT_TEXT(1, dl_description, model_store),
    };
    uint8_t *around = put_map(to, 6);
    PUT(to, board, device);
    put_list(to, 5, device->runtime_count);
    for (size_t i = 0; i < device->runtime_count; i++) {
        put_runtime(to, &device->runtimes[i]);
    }
    put_map(to, 6);
    PUT(to, stores, device);
    to->map = around;
}

static void put_model_state(struct dl_writer *to, const struct dl_model_state *model) {
    static const struct dl_field fields[] = {
        DL_PUT_TEXT(0, dl_model_state, phase),
        DL_PUT_BYTES(1 | DL_OPTIONAL, dl_model_state, active, DUNLIN_DIGEST),
        DL_PUT_BYTES(2 | DL_OPTIONAL, dl_model_state, previous, DUNLIN_DIGEST),
        DL_PUT_BYTES(3 | DL_OPTIONAL, dl_model_state, candidate, DUNLIN_DIGEST),
        DL_PUT_TEXT(4 | DL_OPTIONAL, dl_model_state, error_code),
        DL_PUT_TEXT(5 | DL_OPTIONAL, dl_model_state, error_text),
        DL_PUT_TEXT(6 | DL_OPTIONAL, dl_model_state, variant),
        DL_PUT_NUMBER(7 | DL_OPTIONAL, dl_model_state, served),
        DL_PUT_NUMBER(8 | DL_OPTIONAL, dl_model_state, chunks_have),
        DL_PUT_NUMBER(9 | DL_OPTIONAL, dl_model_state, chunks_need),
    };
    dl_put_name(to, model->model);
    uint8_t *around = dl_put_map(to);
    PUT(to, fields, model);
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
    static const struct dl_field before[] = {
        DL_PUT_NUMBER(1, dl_report, epoch),
        DL_PUT_NUMBER(2, dl_report, seq),
        DL_PUT_BYTES(3, dl_report, nonce, DUNLIN_ID),
    };
    static const struct dl_field behind[] = {
        DL_PUT_NUMBER(7, dl_report, number),      DL_PUT_NUMBER(8, dl_report, uptime_s),
        DL_PUT_NUMBER(9, dl_report, time_s),      DL_PUT_TEXT(10, dl_report, agent_version),
        DL_PUT_NUMBER(12, dl_report, root_version),
    };
    struct dl_writer to;
    begin(&to, out, cap);
    PUT(&to, before, report);
    if (report->missing_count > 0) {
        put_list(&to, 4, report->missing_count);
        for (size_t i = 0; i < report->missing_count; i++) {
            put_digest(&to, report->missing[i]);
        }
    }
    put_models(&to, report);
    put_description(&to, report->device);
    PUT(&to, behind, report);
    return sign(&to, "dnb/v1/reported", identity, size);
}

/* ---- receipts, enrolment ------------------------------------------------------------------------------------------------- */

static void put_erased(struct dl_writer *to, const struct dl_receipt *receipt) {
    static const struct dl_field model[] = {DL_PUT_TEXT(0, dl_receipt, model)};
    put_list(to, 3, is_given(receipt->model));
    if (is_given(receipt->model)) {
        uint8_t *around = dl_put_map(to);
        PUT(to, model, receipt);
        put_list(to, 1, receipt->release_count);
        for (size_t i = 0; i < receipt->release_count; i++) {
            put_digest(to, receipt->releases[i]);
        }
        to->map = around;
    }
}

int dl_receipt_write(const struct dl_receipt *receipt, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size) {
    static const struct dl_field order[] = {
        DL_PUT_TEXT(1, dl_receipt, device),
        DL_PUT_BYTES(2, dl_receipt, order_digest, DUNLIN_DIGEST),
    };
    static const struct dl_field method[] = {DL_PUT_TEXT(4, dl_receipt, method)};
    static const struct dl_field done[] = {
        DL_PUT_NUMBER(7, dl_receipt, files),
        DL_PUT_NUMBER(8, dl_receipt, bytes),
        DL_PUT_NUMBER(9, dl_receipt, time_s),
        DL_PUT_BYTES(10, dl_receipt, kem, DUNLIN_SPKI),
    };
    struct dl_writer to;
    begin(&to, out, cap);
    PUT(&to, order, receipt);
    put_erased(&to, receipt);
    PUT(&to, method, receipt);
    dl_put_key(&to, 5);
    dl_put_text(&to, "clear"); /* the keys of a microcontroller lie in no hardware of their own */
    dl_put_key(&to, 6);
    dl_put_head(&to, DL_SIMPLE, receipt->canary_unreadable ? 21 : 20);
    PUT(&to, done, receipt);
    return sign(&to, "dnb/v1/receipt", identity, size);
}

int dl_enrol_write(const struct dl_enrol_request *request, psa_key_id_t identity, uint8_t *out, size_t cap,
                   size_t *size) {
    static const struct dl_field fields[] = {
        DL_PUT_TEXT(1, dl_enrol_request, device),
        DL_PUT_BYTES(2, dl_enrol_request, token_id, 8),
        DL_PUT_BYTES(3, dl_enrol_request, secret, 16),
        DL_PUT_BYTES(4, dl_enrol_request, identity, DUNLIN_SPKI),
        DL_PUT_BYTES(5, dl_enrol_request, kem, DUNLIN_SPKI),
    };
    struct dl_writer to;
    begin(&to, out, cap);
    PUT(&to, fields, request);
    put_description(&to, request->description);
    return sign(&to, "dnb/v1/enrol", identity, size);
}
