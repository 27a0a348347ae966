/* Vectors of records that a microcontroller writes or never meets: generated decoders, and by hand what CDDL cannot say
 * to zcbor. */
#include <string.h>

#include "contract/cose.h"
#include "contract/schema.h"
#include "fields.h"
#include "oracle.h"

#define CAP_SMALL 1024
#define CAP_ENROL 16384

static int first(int error, int next) {
    return error ? error : next;
}

static int name(struct zcbor_string text, size_t most) {
    return dl_name_check(dl_span(text), most);
}

/* An optional field whose value is the default is one encoding too many. */
static int not_default(bool present, uint64_t value) {
    return present && value == 0 ? DUNLIN_E_CANONICAL : 0;
}

static int check_description(const struct dnb_device_description *device) {
    int error = first(not_default(device->flash_bytes_present, device->flash_bytes.flash_bytes),
                      not_default(device->arena_bytes_present, device->arena_bytes.arena_bytes));
    for (size_t i = 0; i < device->runtimes_count; i++) {
        error = first(error, not_default(device->runtimes[i].ops_present, device->runtimes[i].ops.ops_count));
    }
    return error;
}

static int check_state(const struct dnb_model_state *state) {
    int error = first(not_default(state->error_code_present, state->error_code.error_code.len),
                      not_default(state->error_text_present, state->error_text.error_text.len));
    error = first(error, not_default(state->variant_present, state->variant.variant.len));
    error = first(error, not_default(state->served_present, state->served.served));
    error = first(error, not_default(state->chunks_have_present, state->chunks_have.chunks_have));
    error = first(error, not_default(state->chunks_need_present, state->chunks_need.chunks_need));
    error = first(error, not_default(state->rejected_present, state->rejected.rejected_count));
    for (size_t i = 0; state->rejected_present && i < state->rejected.rejected_count; i++) {
        error = first(error, name(state->rejected.rejected[i].kind, 24));
    }
    return error;
}

static int read_reported(struct dunlin_span bytes, bool is_signed) {
    static struct dnb_reported report;
    int error = first(dl_record_check(bytes, 32768), 0);
    error = error ? error : DL_READ(dnb_reported, bytes, &report);
    if (error) {
        return error;
    }
    error = first(not_default(report.missing_present, report.missing.missing_count),
                  not_default(report.number_present, report.number.number));
    for (size_t i = 0; i < report.reported_models_count; i++) {
        error = first(error, name(report.reported_models[i].reported_models_key, DUNLIN_NAME));
        error = first(error, check_state(&report.reported_models[i].reported_models));
    }
    error = first(error, check_description(&report.device));
    return first(error, is_signed && !report.number_present ? DUNLIN_E_FIELD_MISSING : 0);
}

static int read_event(struct dunlin_span bytes) {
    struct dnb_event event;
    int error = dl_record_check(bytes, 8192);
    error = error ? error : DL_READ(dnb_event, bytes, &event);
    if (error) {
        return error;
    }
    error = event.model_present ? name(event.model.model, DUNLIN_NAME) : 0;
    error = first(error, not_default(event.code_present, event.code.code.len));
    return first(error, not_default(event.text_present, event.text.text.len));
}

static int check_model_telemetry(const struct dnb_model_telemetry *model) {
    int error = not_default(model->drift_present, model->drift.drift_count);
    for (size_t i = 0; model->drift_present && i < model->drift.drift_count; i++) {
        const struct dnb_drift_counts *counts = &model->drift.drift[i];
        error = first(error, counts->counts_count == counts->expected_count ? 0 : DUNLIN_E_BASELINE);
    }
    return error;
}

static int read_telemetry(struct dunlin_span bytes) {
    static struct dnb_telemetry telemetry;
    const struct dnb_hardware *hardware = &telemetry.hardware.hardware;
    int error = dl_record_check(bytes, 65536);
    error = error ? error : DL_READ(dnb_telemetry, bytes, &telemetry);
    for (size_t i = 0; !error && i < telemetry.telemetry_models_count; i++) {
        error = first(name(telemetry.telemetry_models[i].telemetry_models_key, DUNLIN_NAME),
                      check_model_telemetry(&telemetry.telemetry_models[i].telemetry_models));
    }
    if (!error && telemetry.hardware_present) {
        error = first(not_default(hardware->throttled_present, hardware->throttled.throttled),
                      not_default(hardware->power_mode_present, hardware->power_mode.power_mode.len));
    }
    return error;
}

static int check_data(const uint8_t *data) {
    uint64_t size = dl_dtype_size((uint8_t)dl_choice_at(data, 1, DL_CHOICE_DTYPE));
    const uint64_t most = dl_content(data, 3).size;
    bool empty = false;
    for (struct dunlin_span shape = dl_content(data, 2); shape.size > 0;) {
        const uint8_t *number = dl_next(&shape);
        uint64_t dimension;
        dl_head(&number, &dimension);
        empty |= dimension == 0;
        size = size > most ? size : size * dimension; /* no product of eight overflows so */
    }
    return (empty ? 0 : size) == most ? 0 : DUNLIN_E_PAYLOAD_LENGTH;
}

/* A microcontroller reads these; its own walk (src/infer/golden.c) runs them, too, and takes fewer tensors. */
static int read_golden(struct dunlin_span bytes) {
    int error = dl_schema_check(bytes, 67108864, DL_RECORD_GOLDEN);
    for (struct dunlin_span samples = error ? (struct dunlin_span){NULL, 0} : dl_content(bytes.data, 1); samples.size > 0;) {
        const uint8_t *const sample = dl_next(&samples);
        for (uint8_t side = 0; side < 2; side++) {
            for (struct dunlin_span tensors = dl_content(sample, side); tensors.size > 0;) {
                error = first(error, check_data(dl_next(&tensors)));
            }
        }
    }
    return error;
}

static int check_tensors(struct dunlin_span tensors) {
    int error = 0;
    while (tensors.size > 0) {
        error = first(error, check_data(dl_next(&tensors)));
    }
    return error;
}

static int read_result(struct dunlin_span bytes) {
    static struct dnb_result result;
    int error = dl_record_check(bytes, 262144);
    error = error ? error : DL_READ(dnb_result, bytes, &result);
    if (error) {
        return error;
    }
    error = result.model_present ? name(result.model.model, DUNLIN_NAME) : 0;
    error = first(error, not_default(result.source_present, result.source.source.len));
    error = first(error, not_default(result.reason_present, result.reason.reason.len));
    error = first(error, not_default(result.inputs_present, result.inputs.inputs_count));
    error = first(error, not_default(result.outputs_present, result.outputs.outputs_count));
    error = first(error, result.first_present && result.first.first == 0 ? DUNLIN_E_RANGE : 0);
    error = first(error, check_tensors(dl_content(bytes.data, 10)));
    error = first(error, check_tensors(dl_content(bytes.data, 11)));
    const bool captured = result.kind_choice == dnb_result_kind_capture_tstr_c;
    const bool right = result.kind_choice == dnb_result_kind_gap_tstr_c
                           ? result.first_present && result.first.first <= result.n && !result.model_present &&
                                 !result.release_present && !result.source_present && !result.reason_present &&
                                 !result.inputs_present && !result.outputs_present
                           : result.model_present && result.release_present && result.outputs_present &&
                                 !result.first_present && result.inputs_present == captured;
    return first(error, right ? 0 : DUNLIN_E_RESULT_KIND);
}

static int check_feature(const struct dnb_feature *feature) {
    uint32_t shares = 0;
    bool rising = true, finite = true;
    for (size_t i = 0; i < feature->edges_count; i++) {
        rising &= i == 0 || feature->edges[i - 1] < feature->edges[i];
        finite &= feature->edges[i] - feature->edges[i] == 0; /* neither an infinity nor a NaN */
    }
    for (size_t i = 0; i < feature->expected_count; i++) {
        shares += feature->expected[i];
    }
    const bool whole = feature->expected_count == feature->edges_count + 1 && shares == 65535;
    return !finite ? DUNLIN_E_RANGE : rising && whole ? 0 : DUNLIN_E_BASELINE;
}

static int read_baseline(struct dunlin_span bytes) {
    static struct dnb_baseline baseline;
    int error = dl_record_check(bytes, 65536);
    error = error ? error : DL_READ(dnb_baseline, bytes, &baseline);
    for (size_t i = 0; !error && i < baseline.features_count; i++) {
        error = check_feature(&baseline.features[i]);
    }
    return error;
}

static int read_trust(struct dunlin_span bytes) {
    struct dnb_trust trust;
    const int error = dl_record_check(bytes, CAP_ENROL + 16384);
    return error ? error : DL_READ(dnb_trust, bytes, &trust);
}

static int read_server_keys(struct dunlin_span bytes) {
    struct dnb_server_keys keys;
    const int error = dl_record_check(bytes, CAP_SMALL);
    return error ? error : DL_READ(dnb_server_keys, bytes, &keys);
}

/* ---- signed by a device ----------------------------------------------------------------------------------------------- */

static int open_by(const struct fields *in, const char *purpose, size_t cap, struct dunlin_span *payload) {
    const struct dl_signers signers = {NULL, DL_ROLE_ROOT, field(in, "spki").data};
    return dl_cose_verify1(field(in, "bytes"), purpose, signers, cap, payload);
}

static int open_enrol(const struct fields *in) {
    static struct dnb_enrol_request request;
    struct dunlin_span payload;
    int error = dl_cose_peek(field(in, "bytes"), DL_SIGN1, CAP_ENROL, &payload);
    error = first(error, error ? 0 : dl_record_check(payload, CAP_ENROL));
    error = error ? error : DL_READ(dnb_enrol_request, payload, &request);
    if (error) {
        return error;
    }
    error = first(dl_device_check(dl_span(request.device)), check_description(&request.description));
    const struct dl_signers signers = {NULL, DL_ROLE_ROOT, request.spki.value};
    error = first(error, error ? 0 : dl_spki_check(request.spki.value));
    return error ? error : dl_cose_verify1(field(in, "bytes"), "dnb/v1/enrol", signers, CAP_ENROL, &payload);
}

static int open_renew(const struct fields *in) {
    struct dnb_renew_request request;
    struct dunlin_span payload;
    int error = open_by(in, "dnb/v1/renew", CAP_ENROL, &payload);
    error = error ? error : dl_record_check(payload, CAP_ENROL);
    error = error ? error : DL_READ(dnb_renew_request, payload, &request);
    return error ? error : dl_device_check(dl_span(request.device));
}

static int open_receipt(const struct fields *in) {
    static struct dnb_receipt receipt;
    struct dunlin_span payload;
    int error = open_by(in, "dnb/v1/receipt", 4096, &payload);
    error = error ? error : dl_record_check(payload, 4096);
    error = error ? error : DL_READ(dnb_receipt, payload, &receipt);
    error = error ? error : dl_device_check(dl_span(receipt.device));
    for (size_t i = 0; !error && i < receipt.erased_count; i++) {
        error = name(receipt.erased[i].model, DUNLIN_NAME);
    }
    return error;
}

static int open_capture(const struct fields *in) {
    static struct dnb_capture_order order;
    struct dl_root root;
    struct dunlin_span payload;
    int error = dl_root_open_known(field(in, "root"), &root) ? DUNLIN_E_ARGUMENT : 0;
    const uint32_t least = error ? 0 : dl_root_threshold(&root, DL_ROLE_OPS);
    error = error ? error
                  : dl_cose_verify(field(in, "bytes"), "dnb/v1/capture", (struct dl_signers){&root, DL_ROLE_OPS, NULL},
                                   least > 2 ? least : 2, CAP_SMALL, &payload);
    error = error ? error : dl_record_check(payload, CAP_SMALL);
    error = error ? error : DL_READ(dnb_capture_order, payload, &order);
    if (error) {
        return error;
    }
    error = first(dl_device_check(dl_span(order.device)), name(order.model, DUNLIN_NAME));
    error = first(error, not_default(order.random_permille_present, order.random_permille.random_permille));
    error = first(error, not_default(order.margin_permille_present, order.margin_permille.margin_permille));
    error = first(error, not_default(order.classes_present, order.classes.classes_count));
    for (size_t i = 1; order.classes_present && i < order.classes.classes_count; i++) {
        error = first(error, order.classes.classes[i - 1] < order.classes.classes[i] ? 0 : DUNLIN_E_ORDER);
    }
    const bool for_it = dl_is(dl_span(order.device), string(in, "device")) && dl_is(dl_span(order.model), string(in, "model"));
    return first(error, for_it ? 0 : DUNLIN_E_DEVICE);
}

static int open_reported(const struct fields *in) {
    struct dunlin_span payload;
    const int error = open_by(in, "dnb/v1/reported", 32768, &payload);
    return error ? error : read_reported(payload, true);
}

static int open_event(const struct fields *in) {
    struct dunlin_span payload;
    const int error = open_by(in, "dnb/v1/event", 8192, &payload);
    return error ? error : read_event(payload);
}

static int open_plain_report(const struct fields *in) {
    return read_reported(field(in, "bytes"), false);
}

int run_other(const char *kind, const struct fields *in) {
    static const struct {
        const char *kind;
        int (*read)(struct dunlin_span bytes);
    } plain[] = {{"event", read_event},   {"telemetry", read_telemetry}, {"golden", read_golden},
                 {"trust", read_trust},   {"server-keys", read_server_keys}, {"result", read_result},
                 {"baseline", read_baseline}};
    static const struct {
        const char *kind;
        int (*open)(const struct fields *in);
    } others[] = {{"reported", open_plain_report}, {"enrol-request", open_enrol},      {"renew", open_renew},
                  {"receipt", open_receipt},       {"signed-reported", open_reported}, {"signed-event", open_event},
                  {"capture", open_capture}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(kind, plain[i].kind) == 0) {
            return plain[i].read(field(in, "bytes"));
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(kind, others[i].kind) == 0) {
            return others[i].open(in);
        }
    }
    return UNKNOWN_KIND;
}

/* ---- a device for `fit` --------------------------------------------------------------------------------------------------- */

static const char *keep(char *at, size_t room, struct zcbor_string text) {
    dl_copy_text(at, room, dl_span(text));
    return at;
}

int read_description(struct dunlin_span record, struct dl_description *out) {
    static const char *const runtimes[] = {"litert", "onnxruntime", "tensorrt", "tflm"};
    static const char *const stores[] = {"locked", "no-swap", "plain-flash", "swappable"};
    static struct dnb_device_description device;
    static struct dl_runtime runtime[8];
    static struct dl_op ops[8][256];
    static char words[2][65];
    int error = dl_record_check(record, 32768);
    error = error ? error : DL_READ(dnb_device_description, record, &device);
    error = error ? error : check_description(&device);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < device.runtimes_count; i++) {
        const struct dnb_runtime_info *from = &device.runtimes[i];
        runtime[i].name = runtimes[from->name.dn_runtime_name_choice];
        memcpy(runtime[i].version, from->version.dn_u32_m, sizeof runtime[i].version);
        runtime[i].any_op = !from->ops_present;
        runtime[i].ops = ops[i];
        runtime[i].op_count = from->ops_present ? from->ops.ops_count : 0;
        for (size_t k = 0; k < runtime[i].op_count; k++) {
            ops[i][k].name = dl_span(from->ops.ops[k].opcode);
            ops[i][k].version = from->ops.ops[k].version;
        }
    }
    *out = (struct dl_description){.hardware_class = keep(words[0], 65, device.hardware_class),
                                   .arch = keep(words[1], 65, device.arch),
                                   .keystore = "flash",
                                   .model_store = stores[device.tier.model_store.dn_model_store_choice],
                                   .memory = device.memory_bytes,
                                   .flash = device.flash_bytes_present ? device.flash_bytes.flash_bytes : 0,
                                   .arena = device.arena_bytes_present ? device.arena_bytes.arena_bytes : 0,
                                   .runtimes = runtime,
                                   .runtime_count = device.runtimes_count};
    return 0;
}
