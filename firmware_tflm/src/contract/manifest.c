/* A release: its signature, its closed schema, and what must hold across its fields. */
#include "contract/manifest.h"

#include <string.h>

#include "contract/cose.h"

#define LEAVES 262144u
#define LABELS_BYTES 262144u
#define GOLDEN_BYTES 67108864u
#define BASELINE_BYTES 65536u
#define MICRO_BYTES 4096 /* of an envelope with a variant for microcontrollers */
#define CHUNK_LOG2 12
#define SECTOR 4096u

const uint8_t *dl_item_at(struct dunlin_span items, uint32_t index) {
    while (index-- > 0) {
        dl_next(&items);
    }
    return dl_next(&items);
}

uint32_t dl_take_number(struct dunlin_span *items) {
    const uint8_t *item = dl_next(items);
    uint64_t number;
    dl_head(&item, &number);
    return (uint32_t)number;
}

const uint8_t *dl_payload_at(const struct dl_manifest *manifest, uint32_t index) {
    return dl_item_at(manifest->payload_list, index);
}

/* ---- payloads ---------------------------------------------------------------------------------------------------------- */

/* Neither compressed nor a delta. */
static bool is_stored(const uint8_t *payload) {
    return dl_number(payload, DL_P_COMPRESSION) == 0 && !dl_lookup(payload, DL_P_DELTA_BASE);
}

static bool lengths_agree(const uint8_t *payload) {
    const uint64_t plain = dl_number(payload, DL_P_PLAINTEXT);
    const uint32_t chunk = 1u << dl_number(payload, DL_P_CHUNK_LOG2), chunks = (uint32_t)dl_number(payload, DL_P_CHUNKS);
    const uint64_t room = (uint64_t)chunks * chunk;
    /* Only the last chunk may be short; only a lone one may be empty. */
    return plain <= room && (chunks == 1 || room - plain < chunk) &&
           dl_number(payload, DL_P_CIPHERTEXT) == plain + DUNLIN_TAG * chunks &&
           (!is_stored(payload) || plain == dl_number(payload, DL_P_INSTALLED));
}

/* Whether a record before `item` has the same content under `key`. */
static bool is_repeated(struct dunlin_span items, const uint8_t *item, uint8_t key) {
    while (items.data != item) {
        if (dl_same(dl_content(dl_next(&items), key), dl_content(item, key))) {
            return true;
        }
    }
    return false;
}

static int check_payloads(const struct dl_manifest *manifest) {
    uint32_t leaves = 0; /* the schema bounds payloads and their chunks */
    for (struct dunlin_span left = manifest->payload_list; left.size > 0;) {
        const uint8_t *const payload = dl_next(&left);
        if (!lengths_agree(payload)) {
            return DUNLIN_E_PAYLOAD_LENGTH;
        }
        if (is_repeated(manifest->payload_list, payload, DL_P_ID)) {
            return DUNLIN_E_PAYLOAD_ID;
        }
        leaves += (uint32_t)dl_number(payload, DL_P_CHUNKS);
    }
    return leaves > LEAVES ? DUNLIN_E_COUNT : 0;
}

/* ---- variants ------------------------------------------------------------------------------------------------------------ */

struct sum { /* over a variant's payloads */
    uint32_t named; /* bit k: payload k */
    int models, baselines, runtime, format;
    bool plain; /* all of them stored, in chunks for microcontrollers */
    uint32_t chunks, sectors;
};

static uint32_t sectors_of(uint64_t bytes) {
    return (uint32_t)((bytes + SECTOR - 1) / SECTOR);
}

static int add_payload(const struct dl_manifest *manifest, uint32_t index, struct sum *sum) {
    const uint8_t *const payload = dl_payload_at(manifest, index);
    if (!payload) {
        return DUNLIN_E_PAYLOAD_INDEX;
    }
    sum->named |= 1u << index;
    sum->plain &= is_stored(payload) && dl_number(payload, DL_P_CHUNK_LOG2) == CHUNK_LOG2;
    sum->chunks += (uint32_t)dl_number(payload, DL_P_CHUNKS);
    sum->sectors += sectors_of(dl_number(payload, DL_P_INSTALLED));
    const int role = dl_choice_at(payload, DL_P_ROLE, DL_CHOICE_PAYLOAD_ROLE);
    const int format = dl_choice_at(payload, DL_P_FORMAT, DL_CHOICE_PAYLOAD_FORMAT);
    if (role == DL_MODEL && !dl_lookup(payload, DL_P_DELTA_BASE)) {
        sum->models++;
        sum->format = format;
    }
    if (role == DL_BASELINE) {
        if (sum->baselines++ > 0 || format != DL_PAYLOAD_FORMAT_CBOR) {
            return DUNLIN_E_PAYLOAD_ROLE;
        }
        return dl_number(payload, DL_P_INSTALLED) > BASELINE_BYTES ? DUNLIN_E_SIZE : 0;
    }
    return 0;
}

static int check_model(const uint8_t *fit, const struct sum *sum) {
    static const uint8_t formats[] = {
        [DL_RUNTIME_NAME_LITERT] = DL_PAYLOAD_FORMAT_TFLITE,
        [DL_RUNTIME_NAME_ONNXRUNTIME] = DL_PAYLOAD_FORMAT_ONNX,
        [DL_RUNTIME_NAME_TENSORRT] = DL_PAYLOAD_FORMAT_ONNX,
        [DL_RUNTIME_NAME_TFLM] = DL_PAYLOAD_FORMAT_TFLM,
    };
    if (sum->models != 1) {
        return DUNLIN_E_MODEL_MISSING;
    }
    if (sum->format != formats[sum->runtime]) {
        return DUNLIN_E_PAYLOAD_ROLE;
    }
    if (sum->runtime != DL_RUNTIME_NAME_TFLM) {
        return 0;
    }
    /* A slot: header and marks, the manifest, leaves, payloads. */
    const uint32_t slot = sectors_of(64 + 32 * sum->chunks) + 1 + sectors_of(32 * sum->chunks) + sum->sectors;
    return !sum->plain                                                         ? DUNLIN_E_TFLM_PAYLOAD
           : dl_number(fit, DL_F_FLASH) < (uint64_t)slot * SECTOR ? DUNLIN_E_PAYLOAD_LENGTH
                                                                  : 0;
}

/* A payload that the variant names elsewhere must be its own, of that role, and no larger than `most`. */
static int check_reference(const struct dl_manifest *manifest, const struct sum *sum, uint64_t index, int role,
                           uint64_t most) {
    const uint8_t *const payload = dl_payload_at(manifest, (uint32_t)index);
    const bool right = sum->named >> index & 1 && dl_choice_at(payload, DL_P_ROLE, DL_CHOICE_PAYLOAD_ROLE) == role;
    return !right ? DUNLIN_E_PAYLOAD_ROLE : dl_number(payload, DL_P_INSTALLED) > most ? DUNLIN_E_SIZE : 0;
}

static int check_variant(const struct dl_manifest *manifest, const uint8_t *variant, struct sum *sum) {
    const uint8_t *const fit = dl_lookup(variant, DL_V_FIT), *const post = dl_lookup(dl_lookup(variant, DL_V_IO), 3);
    struct dunlin_span indexes = dl_content(variant, DL_V_PAYLOADS);
    int error = 0;
    *sum = (struct sum){.plain = true, .runtime = dl_choice_at(fit, DL_F_RUNTIME, DL_CHOICE_RUNTIME_NAME)};
    while (indexes.size > 0 && !error) {
        error = add_payload(manifest, dl_take_number(&indexes), sum);
    }
    if (!error) {
        error = check_model(fit, sum);
    }
    if (!error) {
        error = check_reference(manifest, sum, dl_number(dl_lookup(variant, DL_V_GOLDEN), 0), DL_GOLDEN, GOLDEN_BYTES);
    }
    if (!error && dl_lookup(post, 2)) {
        error = check_reference(manifest, sum, dl_number(post, 2), DL_LABELS, LABELS_BYTES);
    }
    return error;
}

static int check_variants(struct dl_manifest *manifest, bool *micro) {
    struct dunlin_span left = manifest->variant_list;
    uint32_t named = 0, payloads = 0;
    struct sum sum;
    *micro = false;
    for (manifest->variants = 0; left.size > 0; manifest->variants++) {
        const uint8_t *const variant = dl_next(&left);
        const int error = check_variant(manifest, variant, &sum);
        if (error) {
            return error;
        }
        if (is_repeated(manifest->variant_list, variant, DL_V_KIND)) {
            return DUNLIN_E_VARIANT_KIND;
        }
        *micro |= sum.runtime == DL_RUNTIME_NAME_TFLM;
        named |= sum.named;
    }
    for (left = manifest->payload_list; left.size > 0; dl_next(&left)) {
        payloads = payloads << 1 | 1;
    }
    return named == payloads ? 0 : DUNLIN_E_PAYLOAD_INDEX;
}

/* ---- the manifest ---------------------------------------------------------------------------------------------------------- */

static int read(struct dunlin_span payload, struct dl_manifest *manifest, bool *micro) {
    int error = dl_schema_check(payload, DUNLIN_MANIFEST_BYTES, DL_RECORD_MANIFEST);
    if (error) {
        return error;
    }
    const uint8_t *const record = payload.data;
    manifest->payload = payload;
    manifest->version = dl_content(record, DL_M_VERSION);
    manifest->counter = (uint32_t)dl_number(record, DL_M_COUNTER);
    manifest->variant_list = dl_content(record, DL_M_VARIANTS);
    manifest->payload_list = dl_content(record, DL_M_PAYLOADS);
    dl_copy_text(manifest->name, sizeof manifest->name, dl_content(record, DL_M_NAME));
    if (dl_number(record, DL_M_CREATED) >= dl_number(record, DL_M_NOT_AFTER)) {
        return DUNLIN_E_MANIFEST_TIME;
    }
    error = check_payloads(manifest);
    if (!error) {
        error = check_variants(manifest, micro);
    }
    return error ? error : dl_sha256(payload, manifest->digest);
}

int dl_manifest_read(struct dunlin_span payload, struct dl_manifest *manifest) {
    bool micro;
    return read(payload, manifest, &micro);
}

int dl_manifest_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_manifest *manifest) {
    struct dunlin_span payload;
    bool micro = false;
    int error = dl_cose_verify(envelope, "dnb/v1/release", (struct dl_signers){root, DL_ROLE_RELEASE, NULL},
                               dl_root_threshold(root, DL_ROLE_RELEASE), DUNLIN_MANIFEST_BYTES, &payload);
    if (!error) {
        error = read(payload, manifest, &micro);
    }
    return error ? error : micro && envelope.size > MICRO_BYTES ? DUNLIN_E_SIZE : 0;
}

int dl_manifest_open_known(struct dunlin_span envelope, const uint8_t digest[DUNLIN_DIGEST],
                           struct dl_manifest *manifest) {
    struct dunlin_span payload;
    int error = dl_cose_peek(envelope, DL_SIGN, DUNLIN_MANIFEST_BYTES, &payload);
    if (!error) {
        error = dl_sha256(payload, manifest->digest);
    }
    if (!error && !dl_equal(manifest->digest, digest, DUNLIN_DIGEST)) {
        error = DUNLIN_E_RELEASE;
    }
    return error ? error : dl_manifest_read(payload, manifest);
}
