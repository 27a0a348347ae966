/* Grants: a content key wrapped with HPKE base mode (RFC 9180), DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
 * ChaCha20-Poly1305, in a COSE_Encrypt0 array. */
#include <string.h>

#include "contract/cbor.h"
#include "contract/verify.h"
#include "contract/writer.h"

#define SEALED (DUNLIN_CEK + DUNLIN_TAG)
#define HEADER 17

static const uint8_t header_prefix[HEADER - DUNLIN_KID] = {0xa2, 0x01, 0x3a, 0, 1, 0, 0, 0x04, 0x48};
static const uint8_t no_key[DUNLIN_DIGEST];

#define SPAN(array, length) ((struct dunlin_span){(const uint8_t *)(array), (length)})

static const struct dunlin_span kem_suite = {(const uint8_t *)"KEM\x00\x10", 5};
static const struct dunlin_span hpke_suite = {(const uint8_t *)"HPKE\x00\x10\x00\x01\x00\x03", 10};
static const struct dunlin_span nothing = {NULL, 0};

/* LabeledExtract (RFC 9180, section 4). */
static int extract(const struct dunlin_span *suite, const uint8_t salt[DUNLIN_DIGEST], const char *label,
                   const struct dunlin_span *material, uint8_t out[DUNLIN_DIGEST]) {
    const struct dunlin_span parts[] = {SPAN("HPKE-v1", 7), *suite, SPAN(label, strlen(label)), *material};
    return dl_hmac(SPAN(salt, DUNLIN_DIGEST), parts, 4, out);
}

/* LabeledExpand of at most one block. */
static int expand(const struct dunlin_span *suite, const uint8_t prk[DUNLIN_DIGEST], const char *label,
                  const struct dunlin_span info[2], uint8_t size, uint8_t out[DUNLIN_DIGEST]) {
    const uint8_t length[2] = {0, size};
    const struct dunlin_span parts[] = {SPAN(length, 2), SPAN("HPKE-v1", 7), *suite, SPAN(label, strlen(label)),
                                        info[0],         info[1],            SPAN("\x01", 1)};
    return dl_hmac(SPAN(prk, DUNLIN_DIGEST), parts, 7, out);
}

/* Decap: the shared secret between the store's key and the sender's ephemeral one. */
static int decapsulate(psa_key_id_t kem, const uint8_t spki[DUNLIN_SPKI], const uint8_t enc[DUNLIN_POINT],
                       uint8_t shared[DUNLIN_DIGEST]) {
    const struct dunlin_span context[2] = {SPAN(enc, DUNLIN_POINT),
                                           SPAN(spki + DUNLIN_SPKI - DUNLIN_POINT, DUNLIN_POINT)};
    const struct dunlin_span secret = {shared, DUNLIN_DIGEST};
    size_t size;
    const psa_status_t status =
        psa_raw_key_agreement(PSA_ALG_ECDH, kem, enc, DUNLIN_POINT, shared, DUNLIN_DIGEST, &size);
    if (status != PSA_SUCCESS) {
        return status == PSA_ERROR_INSUFFICIENT_MEMORY ? DUNLIN_E_CRYPTO : DUNLIN_E_GRANT_OPEN;
    }
    const int error = extract(&kem_suite, no_key, "eae_prk", &secret, shared);
    return error ? error : expand(&kem_suite, shared, "shared_secret", context, DUNLIN_DIGEST, shared);
}

int dl_hpke_open(psa_key_id_t kem, const uint8_t spki[DUNLIN_SPKI], const uint8_t enc[DUNLIN_POINT],
                 struct dunlin_span info, struct dunlin_span sealed, uint8_t *plain) {
    struct {
        uint8_t shared[DUNLIN_DIGEST], key[DUNLIN_DIGEST], nonce[DUNLIN_DIGEST];
    } secret;
    uint8_t hashes[1 + 2 * DUNLIN_DIGEST] = {0};
    const struct dunlin_span context[2] = {SPAN(hashes, sizeof hashes), nothing};
    int error = decapsulate(kem, spki, enc, secret.shared);
    if (!error) {
        error = extract(&hpke_suite, no_key, "psk_id_hash", &nothing, hashes + 1);
    }
    if (!error) {
        error = extract(&hpke_suite, no_key, "info_hash", &info, hashes + 1 + DUNLIN_DIGEST);
    }
    if (!error) {
        error = extract(&hpke_suite, secret.shared, "secret", &nothing, secret.shared);
    }
    if (!error) {
        error = expand(&hpke_suite, secret.shared, "key", context, 32, secret.key);
    }
    if (!error) {
        error = expand(&hpke_suite, secret.shared, "base_nonce", context, 12, secret.nonce);
    }
    if (!error) {
        error = dl_aead_open(secret.key, secret.nonce, sealed, plain);
    }
    dl_wipe(&secret, sizeof secret);
    return error == DUNLIN_E_CHUNK_OPEN ? DUNLIN_E_GRANT_OPEN : error;
}

struct parts {
    struct dunlin_span header, enc, sealed;
};

static int take_apart(struct dunlin_span grant, struct parts *parts) {
    struct dunlin_span inside, label;
    const bool shaped = dl_list(&grant, DL_ARRAY, 3, 3, &inside) == 0;
    struct dunlin_span header = shaped ? dl_item(&inside) : inside;
    if (!shaped || dl_list(&inside, DL_MAP, 1, 1, &label) != 0 || label.data[0] != 0x23 /* -4 */) {
        return DUNLIN_E_GRANT_SHAPE;
    }
    label.data++, label.size--;
    if (dl_string(&label, DL_BYTES, DUNLIN_POINT, DUNLIN_POINT, &parts->enc) != 0 ||
        dl_string(&inside, DL_BYTES, SEALED, SEALED, &parts->sealed) != 0 ||
        dl_string(&header, DL_BYTES, 0, SIZE_MAX, &parts->header) != 0) {
        return DUNLIN_E_GRANT_SHAPE;
    }
    const bool exact =
        parts->header.size == HEADER && memcmp(parts->header.data, header_prefix, sizeof header_prefix) == 0;
    return exact ? 0 : DUNLIN_E_COSE_HEADER;
}

int dl_grant_open(struct dunlin_span grant, psa_key_id_t kem, const uint8_t release[DUNLIN_DIGEST],
                  const char *recipient, uint8_t cek[DUNLIN_CEK]) {
    uint8_t info[1 + 13 + 1 + HEADER + 2 + DUNLIN_DIGEST + 2 + DUNLIN_DEVICE];
    struct dl_writer to = {.at = info, .room = sizeof info};
    uint8_t spki[DUNLIN_SPKI], kid[DUNLIN_KID];
    struct parts parts;
    int error = dl_cbor_check(grant, DUNLIN_GRANT_BYTES);
    if (!error) {
        error = take_apart(grant, &parts);
    }
    if (!error) {
        error = dl_public_spki(kem, spki);
    }
    if (!error) {
        error = dl_kid(spki, kid);
    }
    if (error) {
        return error;
    }
    if (memcmp(kid, parts.header.data + HEADER - DUNLIN_KID, DUNLIN_KID) != 0) {
        return DUNLIN_E_GRANT_OPEN;
    }
    dl_put_head(&to, DL_ARRAY, 4);
    dl_put_text(&to, "dnb/v1 grant");
    dl_put_span(&to, DL_BYTES, parts.header);
    dl_put_span(&to, DL_BYTES, SPAN(release, DUNLIN_DIGEST));
    dl_put_text(&to, recipient);
    if (to.full) {
        return DUNLIN_E_ARGUMENT;
    }
    return dl_hpke_open(kem, spki, parts.enc.data, SPAN(info, sizeof info - to.room), parts.sealed, cek);
}
