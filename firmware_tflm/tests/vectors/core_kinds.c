/* Vectors of what the core itself verifies and decides. */
#include <string.h>

#include "contract/cose.h"
#include "contract/manifest.h"
#include "contract/verify.h"
#include "fields.h"

static int root_in(const struct fields *in, const char *name, struct dl_root *root) {
    const int error = dl_root_open_known(field(in, name), root);
    return error ? DUNLIN_E_ARGUMENT : 0;
}

static int run_root(const char *kind, const struct fields *in) {
    struct dl_root root, current;
    int error;
    if (strcmp(kind, "root-first") == 0) {
        error = dl_root_first(field(in, "bytes"), field(in, "digest").data, &root);
    } else {
        error = root_in(in, "current", &current);
        error = error ? error : dl_root_next(field(in, "bytes"), &current, &root);
    }
    if (!error) {
        give_number("version", root.version);
        give_number("epoch", root.epoch);
        give_number("issued", root.issued);
        give("payload", root.payload);
    }
    return error;
}

/* ---- manifests --------------------------------------------------------------------------------------------------------- */

static void give_payload(const struct dl_payload *payload) {
    static const char *const roles[] = {"model", "labels", "golden", "baseline", "report", "provenance"};
    give("id", (struct dunlin_span){payload->id, DUNLIN_ID});
    give_text("role", roles[payload->role]);
    give_number("installed", payload->installed);
    give_number("chunks", payload->chunks);
    give_number("leaf_from", payload->leaf_from);
    give("sha256", (struct dunlin_span){payload->sha256, DUNLIN_DIGEST});
    give("merkle", (struct dunlin_span){payload->merkle, DUNLIN_DIGEST});
}

static int give_tensors(const struct dl_variant *variant, bool output) {
    struct dl_tensor tensor;
    for (size_t i = 0;; i++) {
        const int found = dl_variant_tensor(variant, output, i, &tensor);
        if (found <= 0) {
            return found;
        }
        give("tensor", tensor.name);
        give_number("dtype", tensor.dtype);
        for (int k = 0; k < tensor.dimensions; k++) {
            give_number("dimension", (uint32_t)tensor.shape[k]);
        }
    }
}

/* What a device that takes this variant acts on. */
static int give_variant(const struct dl_manifest *manifest, uint8_t index) {
    struct dl_variant variant;
    struct dl_op op;
    int error = dl_variant_at(manifest, index, &variant);
    if (error == DUNLIN_E_COUNT || error == DUNLIN_E_SLOT_SIZE) {
        return 0; /* more than this device handles */
    }
    if (error) {
        return error;
    }
    give_text("kind", variant.kind);
    give_number("arena", variant.arena);
    give_number("payloads", variant.payloads);
    give_number("model", variant.model);
    give_number("golden", variant.golden);
    give("tolerance", (struct dunlin_span){(const uint8_t *)&variant.tolerance, sizeof variant.tolerance});
    give_number("top1", variant.top1);
    give_number("p95_us", variant.p95_us);
    give_number("slot_bytes", dl_slot_bytes(&variant, 4096));
    for (int i = 0; i < variant.payloads; i++) {
        give_payload(&variant.payload[i]);
    }
    for (size_t state = 0; (error = dl_variant_next_op(&variant, &state, &op)) == 1;) {
        give("op", op.name);
        give_number("op_version", op.version);
    }
    error = error ? error : give_tensors(&variant, false);
    return error ? error : give_tensors(&variant, true);
}

static int give_manifest(const struct dl_manifest *manifest) {
    int error = 0;
    give("release", (struct dunlin_span){manifest->digest, DUNLIN_DIGEST});
    give_text("name", manifest->name);
    give("version", manifest->version);
    give_number("counter", manifest->counter);
    for (uint8_t i = 0; i < manifest->variants && !error; i++) {
        error = give_variant(manifest, i);
    }
    return error;
}

static int run_manifest(const struct fields *in) {
    struct dl_root root;
    struct dl_manifest manifest, again;
    int error = root_in(in, "root", &root);
    if (!error) {
        error = dl_manifest_open(field(in, "bytes"), &root, &manifest);
    }
    if (!error) {
        error = dl_manifest_open_known(field(in, "bytes"), manifest.digest, &again);
    }
    return error ? error : give_manifest(&again);
}

static int run_index(const struct fields *in) {
    static struct dl_tree tree;
    struct dl_manifest manifest;
    struct dunlin_span index = field(in, "index");
    uint8_t root[DUNLIN_DIGEST];
    uint64_t leaves = 0;
    int error = dl_manifest_read(field(in, "manifest"), &manifest);
    for (uint32_t i = 0; !error && dl_payload_at(&manifest, i); i++) {
        leaves += dl_number(dl_payload_at(&manifest, i), DL_P_CHUNKS);
    }
    if (!error && index.size != 32 * leaves) {
        error = DUNLIN_E_LENGTHS;
    }
    for (uint32_t i = 0; !error && index.size > 0; i++) {
        const uint8_t *const payload = dl_payload_at(&manifest, i);
        dl_tree_start(&tree);
        for (uint64_t k = dl_number(payload, DL_P_CHUNKS); k > 0 && !error; k--, index.data += 32, index.size -= 32) {
            error = dl_tree_leaf(&tree, index.data);
        }
        if (!error) {
            error = dl_tree_root(&tree, root);
        }
        if (!error && !dl_equal(root, dl_bytes(payload, DL_P_MERKLE), DUNLIN_DIGEST)) {
            error = DUNLIN_E_MERKLE;
        }
    }
    return error;
}

/* Without a leaf: as if a device that knows the key had made one up. */
static int run_chunk(const struct fields *in) {
    static uint8_t plain[1 << 20];
    uint8_t key[32], leaf[DUNLIN_DIGEST];
    const struct dunlin_span chunk = field(in, "bytes"), given = field(in, "leaf");
    int error = dl_payload_key(field(in, "cek").data, field(in, "payload_id").data, (uint8_t)number(in, "aead"),
                               (uint8_t)number(in, "chunk_log2"), key);
    if (error) {
        return error;
    }
    if (given.data) {
        memcpy(leaf, given.data, DUNLIN_DIGEST);
    } else {
        error = dl_leaf(chunk, leaf);
    }
    error = error ? error : dl_chunk_open(chunk, leaf, key, (uint32_t)number(in, "index"), number(in, "last"), plain);
    if (!error) {
        give("plaintext", (struct dunlin_span){plain, chunk.size - DUNLIN_TAG});
    }
    return error;
}

static int import_key(struct dunlin_span secret, psa_key_id_t *key) {
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
    return psa_import_key(&attributes, secret.data, secret.size, key) == PSA_SUCCESS ? 0 : DUNLIN_E_ARGUMENT;
}

static int run_grant(const struct fields *in) {
    psa_key_id_t key;
    uint8_t cek[DUNLIN_CEK];
    int error = import_key(field(in, "secret"), &key);
    if (!error) {
        error = dl_grant_open(field(in, "bytes"), key, field(in, "release").data, string(in, "recipient"), cek);
        psa_destroy_key(key);
    }
    if (!error) {
        give("cek", (struct dunlin_span){cek, sizeof cek});
    }
    return error;
}

/* HPKE alone, for RFC 9180's way of giving a vector. */
static int run_hpke(const struct fields *in) {
    psa_key_id_t key;
    uint8_t spki[DUNLIN_SPKI], plain[256];
    const struct dunlin_span sealed = field(in, "bytes");
    int error = import_key(field(in, "secret"), &key);
    if (!error) {
        error = dl_public_spki(key, spki);
    }
    if (!error) {
        error = dl_hpke_open(key, spki, field(in, "enc").data, field(in, "info"), sealed, plain);
        psa_destroy_key(key);
    }
    if (!error) {
        give("plaintext", (struct dunlin_span){plain, sealed.size - DUNLIN_TAG});
    }
    return error;
}

static int run_hkdf(const struct fields *in) {
    uint8_t out[128];
    const size_t size = (size_t)number(in, "length");
    const int error = dl_hkdf(field(in, "secret"), field(in, "salt"), field(in, "info"), out, size);
    give("out", (struct dunlin_span){out, size});
    return error;
}

/* ---- directives ---------------------------------------------------------------------------------------------------------- */

static void give_desired(const struct dl_desired *desired) {
    give_text("model", desired->model);
    give("release", (struct dunlin_span){desired->release, DUNLIN_DIGEST});
    give_number("floor", desired->floor);
    give("grant", (struct dunlin_span){desired->grant, desired->grant_size});
    give_number("lease_s", desired->lease_s);
    give_text("lease_action", desired->lease_action == DL_LEASE_STOP ? "stop" : "warn");
    give("manifest", (struct dunlin_span){desired->manifest, DUNLIN_DIGEST});
    give_number("pages", desired->pages);
    for (int i = 0; i < desired->pages && i < DUNLIN_INDEX_PAGES; i++) {
        give("page", (struct dunlin_span){desired->page[i], DUNLIN_DIGEST});
    }
}

static void give_optional(const char *name, const uint8_t *data, size_t size) {
    if (data) {
        give(name, (struct dunlin_span){data, size});
    }
}

static int run_directive(const struct fields *in) {
    struct dl_root root;
    struct dl_directive directive;
    int error = root_in(in, "root", &root);
    if (!error) {
        error = dl_directive_open(field(in, "bytes"), &root, &directive);
    }
    const uint8_t *next = dl_directive_peek_root(field(in, "bytes"));
    if (error) {
        return error;
    }
    give("digest", (struct dunlin_span){directive.digest, DUNLIN_DIGEST});
    give("device", directive.device);
    give_number("epoch", directive.epoch);
    give_number("seq", directive.seq);
    give_number("issued", directive.issued);
    give_number("expires", directive.expires);
    give_number("models", directive.models);
    if (directive.models > 0) {
        give_desired(&directive.desired);
    }
    give_text("refused", directive.refused);
    give_optional("settings", directive.settings, DUNLIN_DIGEST);
    give_optional("wipe", directive.wipe.data, directive.wipe.size);
    give_optional("nonce", directive.nonce, DUNLIN_ID);
    give_optional("root", directive.root, DUNLIN_DIGEST);
    give_optional("peeked", next, DUNLIN_DIGEST);
    return 0;
}

static int run_decide(const struct fields *in) {
    struct dl_directive directive;
    const struct dl_memory memory = {.device = string(in, "device"),
                                     .epoch = (uint32_t)number(in, "epoch"),
                                     .seq = number(in, "seq"),
                                     .digest = field(in, "digest").data,
                                     .nonce = field(in, "boot_nonce").data,
                                     .time_floor = number(in, "time_floor")};
    const int error = dl_directive_read(field(in, "bytes"), &directive);
    if (error) {
        return error;
    }
    const int verdict = dl_directive_decide(&memory, &directive, number(in, "uptime_s"));
    give_number("news", verdict == 0);
    return verdict == DL_FOLLOWED ? 0 : verdict;
}

static int run_release(const struct fields *in) {
    struct dl_desired desired;
    struct dl_manifest manifest = {.counter = (uint32_t)number(in, "counter")};
    int error = dl_desired_read(field(in, "desired"), &desired);
    if (error) {
        return error;
    }
    dl_copy_text(desired.model, sizeof desired.model, field(in, "name_desired"));
    dl_copy_text(manifest.name, sizeof manifest.name, field(in, "name_found"));
    memcpy(manifest.digest, field(in, "digest").data, DUNLIN_DIGEST);
    return dl_release_check(&desired, &manifest);
}

static int run_wipe_decide(const struct fields *in) {
    struct dl_wipe_order order;
    struct dl_directive directive;
    uint8_t models[16 * (2 + DUNLIN_NAME + 1)];
    size_t at = 0;
    const int error = dl_wipe_read(field(in, "bytes"), &order);
    if (error) {
        return error;
    }
    /* The table of a directive, as far as its names go. */
    for (size_t i = 0; field_at(in, "desired", i).data; i++) {
        const struct dunlin_span name = field_at(in, "desired", i);
        models[at++] = 0x78, models[at++] = (uint8_t)name.size;
        memcpy(models + at, name.data, name.size);
        at += name.size;
        models[at++] = 0xa0;
    }
    memset(&directive, 0, sizeof directive);
    directive.models_map = (struct dunlin_span){models, at};
    return dl_wipe_check(&order, string(in, "device"), &directive);
}

static int run_signed(const char *kind, const struct fields *in) {
    struct dl_root root;
    struct dl_ack ack;
    struct dl_wipe_order order;
    int error = root_in(in, "root", &root);
    if (error) {
        return error;
    }
    if (strcmp(kind, "ack") == 0) {
        error = dl_ack_open(field(in, "bytes"), &root, &ack);
        if (!error) {
            give("device", ack.device);
            give("stream", (struct dunlin_span){ack.stream, DUNLIN_ID});
            give_number("n", ack.n);
        }
        return error;
    }
    error = dl_wipe_open(field(in, "bytes"), &root, &order);
    if (!error) {
        give("device", order.device);
        give("id", (struct dunlin_span){order.id, DUNLIN_ID});
        give("digest", (struct dunlin_span){order.digest, DUNLIN_DIGEST});
        give_number("covers", dl_wipe_covers(&order, "digits"));
    }
    return error;
}

static void count_reason(void *ctx, const char *line) {
    (void)ctx;
    give_text("reasons", line);
}

static int run_fit(const struct fields *in) {
    struct dl_description device;
    int error = read_description(field(in, "device"), &device);
    if (!error) {
        error = dl_schema_check(field(in, "needs"), 65536, DL_RECORD_FIT);
    }
    if (error) {
        return error;
    }
    const int reasons = dl_fit(field(in, "needs").data, &device, count_reason, NULL);
    give_text("verdict", reasons ? "does-not-fit" : "fits");
    return 0;
}

static int run_slot(const struct fields *in) {
    struct dl_variant variant;
    memset(&variant, 0, sizeof variant);
    for (; field_at(in, "lengths", variant.payloads).data; variant.payloads++) {
        if (variant.payloads == DUNLIN_PAYLOADS) {
            return DUNLIN_E_COUNT;
        }
        const struct dunlin_span length = field_at(in, "lengths", variant.payloads);
        for (size_t i = 0; i < length.size; i++) {
            variant.payload[variant.payloads].installed =
                10 * variant.payload[variant.payloads].installed + (uint32_t)(length.data[i] - '0');
        }
    }
    variant.payload[0].chunks = (uint32_t)number(in, "chunks"); /* only their sum counts */
    give_number("slot_bytes", dl_slot_bytes(&variant, 4096));
    return 0;
}

/* ---- small records, keys ---------------------------------------------------------------------------------------------------- */

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

/* Which variant of a manifest a device takes. */
static int run_choose(const struct fields *in) {
    struct dl_description device;
    struct dl_manifest manifest;
    struct dl_variant variant;
    int error = read_description(field(in, "device"), &device);
    error = error ? error : dl_manifest_read(field(in, "bytes"), &manifest);
    error = error ? error : dl_variant_choose(&manifest, &device, &variant, NULL, NULL);
    if (!error) {
        give_number("index", variant.index);
    }
    return error;
}

/* A manifest that is known by its digest. */
static int run_known(const struct fields *in) {
    struct dl_manifest manifest;
    return dl_manifest_open_known(field(in, "bytes"), field(in, "release").data, &manifest);
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

int run_core(const char *kind, const struct fields *in) {
    static const struct {
        const char *kind;
        int (*run)(const struct fields *in);
    } runs[] = {{"manifest", run_manifest},     {"index", run_index},
                {"chunk", run_chunk},           {"grant", run_grant},
                {"directive", run_directive},   {"directive-decide", run_decide},
                {"check-release", run_release}, {"wipe-decide", run_wipe_decide},
                {"fit", run_fit},               {"slot", run_slot},
                {"hpke", run_hpke},             {"hkdf", run_hkdf},
                {"cbor", run_cbor},             {"spki", run_spki},
                {"settings", run_settings},     {"claim-token", run_claim_token},
                {"enrol-reply", run_enrol_reply}, {"caps", run_caps},
                {"payload", run_payload},       {"known", run_known},
                {"choose", run_choose}};
    static const struct {
        const char *kind;
        int (*run)(const char *kind, const struct fields *in);
    } families[] = {{"root-first", run_root}, {"root-next", run_root}, {"ack", run_signed}, {"wipe", run_signed}};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        if (strcmp(kind, runs[i].kind) == 0) {
            return runs[i].run(in);
        }
    }
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strcmp(kind, families[i].kind) == 0) {
            return families[i].run(kind, in);
        }
    }
    return UNKNOWN_KIND;
}
