/* Vectors of small records and of keys, of payloads alone, and the caps that this build was made with. */
#include <string.h>

#include "contract/verify.h"
#include "fields.h"

static int run_cbor(const struct fields *in) {
    return dl_cbor_check(field(in, "bytes"), (size_t)number(in, "cap_bytes"));
}

static int run_spki(const struct fields *in) {
    uint8_t kid[DUNLIN_KID];
    const struct dunlin_span bytes = field(in, "bytes");
    int error = bytes.size == DUNLIN_SPKI ? dl_spki_check(bytes.data) : DUNLIN_E_ROOT_KEY;
    if (!error) {
        error = dl_kid(bytes.data, kid);
        give("kid", (struct dunlin_span){kid, sizeof kid});
    }
    return error;
}

static int run_settings(const struct fields *in) {
    struct dl_settings settings;
    const int error = dl_settings_open(field(in, "bytes"), &settings);
    if (!error) {
        give_number("report_interval_s", settings.report_s);
        give_number("report_jitter_s", settings.report_jitter_s);
        give_number("window", settings.window);
        give_number("object_timeout_s", settings.timeout_s);
        give_number("probation_s", settings.probation_s);
        give_number("probation_requests", settings.probation_requests);
        give_number("probation_max_s", settings.probation_max_s);
        give_number("telemetry_interval_s", settings.telemetry_s);
    }
    return error;
}

static int run_claim_token(const struct fields *in) {
    struct dl_claim claim;
    const int error = dl_claim_open(field(in, "text"), &claim);
    if (!error) {
        give("root_digest", (struct dunlin_span){claim.root_digest, DUNLIN_DIGEST});
        give("token_id", (struct dunlin_span){claim.token_id, sizeof claim.token_id});
        give("secret", (struct dunlin_span){claim.secret, sizeof claim.secret});
    }
    return error;
}

static int run_enrol_reply(const struct fields *in) {
    static const char *const statuses[] = {"issued", "pending", "refused"};
    struct dl_enrol_reply reply;
    const int error = dl_enrol_reply_open(field(in, "bytes"), &reply);
    if (!error) {
        give_text("status", statuses[reply.status]);
        give_number("poll_s", reply.poll_s);
        give_optional("root", reply.root.data, reply.root.size);
        give("reason", reply.reason);
    }
    return error;
}

/* A payload alone, as after its signature was verified. */
static int run_payload(const struct fields *in) {
    struct dl_manifest manifest;
    struct dl_directive directive;
    struct dl_wipe_order order;
    const char *of = string(in, "of");
    if (strcmp(of, "manifest") == 0) {
        return dl_manifest_read(field(in, "bytes"), &manifest);
    }
    return strcmp(of, "wipe") == 0 ? dl_wipe_read(field(in, "bytes"), &order)
                                   : dl_directive_read(field(in, "bytes"), &directive);
}

/* What this build was made with. */
static int run_caps(const struct fields *in) {
    (void)in;
    give_number("manifest_bytes", DUNLIN_MANIFEST_BYTES);
    give_number("directive_bytes", DUNLIN_DIRECTIVE_BYTES);
    give_number("root_bytes", DUNLIN_ROOT_BYTES);
    give_number("wipe_bytes", DUNLIN_WIPE_BYTES);
    give_number("enrolment_bytes", DUNLIN_ENROL_BYTES);
    return 0;
}

int run_records(const char *kind, const struct fields *in) {
    static const struct kind kinds[] = {
        {"cbor", run_cbor},
        {"spki", run_spki},
        {"settings", run_settings},
        {"claim-token", run_claim_token},
        {"enrol-reply", run_enrol_reply},
        {"payload", run_payload},
        {"caps", run_caps},
    };
    return run_kind(kinds, sizeof kinds / sizeof kinds[0], kind, in);
}
