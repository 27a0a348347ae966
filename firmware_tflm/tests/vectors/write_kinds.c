/* The device's own records, written and signed from given facts. */
#include <string.h>

#include "contract/records.h"
#include "fields.h"

#define OPS 16

static const uint8_t *optional(const struct fields *in, const char *name) {
    return field(in, name).data;
}

static void describe(const struct fields *in, struct dl_description *device) {
    static struct dl_runtime runtime;
    static struct dl_op ops[OPS];
    runtime = (struct dl_runtime){.name = string(in, "runtime"), .ops = ops, .any_op = number(in, "any_op")};
    for (int i = 0; i < 3; i++) {
        runtime.version[i] = (uint32_t)number_at(in, "version", (size_t)i);
    }
    for (; field_at(in, "op", runtime.op_count).data; runtime.op_count++) {
        ops[runtime.op_count].name = field_at(in, "op", runtime.op_count);
        ops[runtime.op_count].version = (uint32_t)number_at(in, "op_version", runtime.op_count);
    }
    *device = (struct dl_description){.hardware_class = string(in, "hardware_class"),
                                      .arch = string(in, "arch"),
                                      .keystore = string(in, "keystore"),
                                      .model_store = string(in, "model_store"),
                                      .memory = number(in, "memory"),
                                      .flash = number(in, "flash"),
                                      .arena = number(in, "arena"),
                                      .runtimes = &runtime,
                                      .runtime_count = number(in, "runtimes")};
}

static int write_event(const struct fields *in, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size) {
    const struct dl_event event = {.stream = optional(in, "stream"),
                                   .n = number(in, "n"),
                                   .kind = (uint8_t)number(in, "event_kind"),
                                   .time_s = number(in, "time_s"),
                                   .uptime_s = number(in, "uptime_s"),
                                   .model = string(in, "model"),
                                   .release = optional(in, "release"),
                                   .code = string(in, "code"),
                                   .text = string(in, "text"),
                                   .receipt = field(in, "receipt")};
    return dl_event_write(&event, key, out, cap, size);
}

static int write_report(const struct fields *in, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size) {
    static uint8_t missing[8][DUNLIN_DIGEST];
    struct dl_description device;
    struct dl_report report = {.epoch = (uint32_t)number(in, "epoch"),
                               .seq = number(in, "seq"),
                               .nonce = optional(in, "nonce"),
                               .missing = (const uint8_t(*)[DUNLIN_DIGEST])missing,
                               .model = {.model = string(in, "model"),
                                         .phase = string(in, "phase"),
                                         .active = optional(in, "active"),
                                         .previous = optional(in, "previous"),
                                         .candidate = optional(in, "candidate"),
                                         .error_code = string(in, "error_code"),
                                         .error_text = string(in, "error_text"),
                                         .variant = string(in, "variant"),
                                         .served = number(in, "served"),
                                         .chunks_have = number(in, "have"),
                                         .chunks_need = number(in, "need")},
                               .refused_model = string(in, "refused"),
                               .device = &device,
                               .number = number(in, "number"),
                               .uptime_s = number(in, "uptime_s"),
                               .time_s = number(in, "time_s"),
                               .agent_version = string(in, "agent_version"),
                               .root_version = (uint32_t)number(in, "root_version")};
    for (; field_at(in, "missing", report.missing_count).data; report.missing_count++) {
        memcpy(missing[report.missing_count], field_at(in, "missing", report.missing_count).data, DUNLIN_DIGEST);
    }
    describe(in, &device);
    return dl_report_write(&report, key, out, cap, size);
}

static int write_receipt(const struct fields *in, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size) {
    struct dl_receipt receipt = {.device = string(in, "device"),
                                 .order_digest = optional(in, "order"),
                                 .model = string(in, "model"),
                                 .files = number(in, "files"),
                                 .bytes = number(in, "bytes_erased"),
                                 .time_s = number(in, "time_s"),
                                 .canary_unreadable = number(in, "canary"),
                                 .method = string(in, "method"),
                                 .kem = optional(in, "kem")};
    for (; field_at(in, "release", receipt.release_count).data; receipt.release_count++) {
        receipt.releases[receipt.release_count] = field_at(in, "release", receipt.release_count).data;
    }
    return dl_receipt_write(&receipt, key, out, cap, size);
}

static int write_enrol(const struct fields *in, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size) {
    struct dl_description device;
    uint8_t identity[DUNLIN_SPKI];
    const struct dl_enrol_request request = {.device = string(in, "device"),
                                             .token_id = optional(in, "token_id"),
                                             .secret = optional(in, "token_secret"),
                                             .identity = identity,
                                             .kem = optional(in, "kem"),
                                             .description = &device};
    const int error = dl_public_spki(key, identity);
    describe(in, &device);
    return error ? error : dl_enrol_write(&request, key, out, cap, size);
}

int run_write(const char *kind, const struct fields *in) {
    static const struct {
        const char *kind;
        int (*write)(const struct fields *in, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size);
    } writes[] = {{"write-event", write_event},
                  {"write-report", write_report},
                  {"write-receipt", write_receipt},
                  {"write-enrol", write_enrol}};
    static uint8_t out[8192];
    const struct dunlin_span secret = field(in, "secret");
    const size_t cap = number(in, "cap") ? (size_t)number(in, "cap") : sizeof out;
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key;
    size_t size = 0;
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        if (strcmp(kind, writes[i].kind) != 0) {
            continue;
        }
        psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
        psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
        psa_set_key_algorithm(&attributes, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
        if (psa_import_key(&attributes, secret.data, secret.size, &key) != PSA_SUCCESS) {
            return DUNLIN_E_KEYSTORE;
        }
        const int error = writes[i].write(in, key, out, cap, &size);
        psa_destroy_key(key);
        if (!error) {
            give("bytes", (struct dunlin_span){out, size});
        }
        return error;
    }
    return UNKNOWN_KIND;
}
