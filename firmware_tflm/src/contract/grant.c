/* Grants: a content key wrapped with HPKE base mode (RFC 9180), DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
 * ChaCha20-Poly1305, in a COSE_Encrypt0 array. */
#include <string.h>

#include "contract/cbor.h"
#include "contract/verify.h"

#define SEALED (DUNLIN_CEK + DUNLIN_TAG)
#define HEADER 17

static const uint8_t header_prefix[HEADER - DUNLIN_KID] = {0xa2, 0x01, 0x3a, 0, 1, 0, 0, 0x04, 0x48};
static const uint8_t no_key[DUNLIN_DIGEST];

#define SPAN(array, length) ((struct dunlin_span){(const uint8_t *)(array), (length)})
#define KEM_SUITE SPAN("KEM\x00\x10", 5)
#define HPKE_SUITE SPAN("HPKE\x00\x10\x00\x01\x00\x03", 10)

/* LabeledExtract (RFC 9180, section 4). */
static int extract(struct dunlin_span suite, const uint8_t salt[DUNLIN_DIGEST], const char *label,
                   struct dunlin_span material, uint8_t out[DUNLIN_DIGEST]) {
    const struct dunlin_span parts[] = {SPAN("HPKE-v1", 7), suite, SPAN(label, strlen(label)), material};
    return dl_hmac(SPAN(salt, DUNLIN_DIGEST), parts, 4, out);
}

/* LabeledExpand of at most one block. */
static int expand(struct dunlin_span suite, const uint8_t prk[DUNLIN_DIGEST], const char *label,
                  const struct dunlin_span info[2], uint8_t size, uint8_t out[DUNLIN_DIGEST]) {
    const uint8_t length[2] = {0, size};
    const struct dunlin_span parts[] = {SPAN(length, 2), SPAN("HPKE-v1", 7), suite, SPAN(label, strlen(label)),
                                        info[0],         info[1],            SPAN("\x01", 1)};
    return dl_hmac(SPAN(prk, DUNLIN_DIGEST), parts, 7, out);
}

/* Decap: the shared secret between the store's key and the sender's ephemeral one. */
static int decapsulate(psa_key_id_t kem, const uint8_t spki[DUNLIN_SPKI], const uint8_t enc[DUNLIN_POINT],
                       uint8_t shared[DUNLIN_DIGEST]) {
    const struct dunlin_span context[2] = {SPAN(enc, DUNLIN_POINT),
                                           SPAN(spki + DUNLIN_SPKI - DUNLIN_POINT, DUNLIN_POINT)};
    uint8_t dh[DUNLIN_DIGEST];
    size_t size;
    int error = 0;
    const psa_status_t status = psa_raw_key_agreement(PSA_ALG_ECDH, kem, enc, DUNLIN_POINT, dh, sizeof dh, &size);
    if (status != PSA_SUCCESS) {
        error = status == PSA_ERROR_INSUFFICIENT_MEMORY ? DUNLIN_E_CRYPTO : DUNLIN_E_GRANT_OPEN;
    }
    if (!error) {
        error = extract(KEM_SUITE, no_key, "eae_prk", SPAN(dh, sizeof dh), shared);
    }
    if (!error) {
        error = expand(KEM_SUITE, shared, "shared_secret", context, DUNLIN_DIGEST, shared);
    }
    dl_wipe(dh, sizeof dh);
    return error;
}

int dl_hpke_open(psa_key_id_t kem, const uint8_t spki[DUNLIN_SPKI], const uint8_t enc[DUNLIN_POINT],
                 struct dunlin_span info, struct dunlin_span sealed, uint8_t *plain) {
    uint8_t secret[DUNLIN_DIGEST], key[DUNLIN_DIGEST], nonce[DUNLIN_DIGEST], hashes[1 + 2 * DUNLIN_DIGEST] = {0};
    const struct dunlin_span context[2] = {SPAN(hashes, sizeof hashes), SPAN(NULL, 0)};
    int error = decapsulate(kem, spki, enc, secret);
    if (!error) {
        error = extract(HPKE_SUITE, no_key, "psk_id_hash", SPAN(NULL, 0), hashes + 1);
    }
    if (!error) {
        error = extract(HPKE_SUITE, no_key, "info_hash", info, hashes + 1 + DUNLIN_DIGEST);
    }
    if (!error) {
        error = extract(HPKE_SUITE, secret, "secret", SPAN(NULL, 0), secret);
    }
    if (!error) {
        error = expand(HPKE_SUITE, secret, "key", context, 32, key);
    }
    if (!error) {
        error = expand(HPKE_SUITE, secret, "base_nonce", context, 12, nonce);
    }
    if (!error) {
        error = dl_aead_open(key, nonce, sealed, plain);
    }
    dl_wipe(secret, sizeof secret);
    dl_wipe(key, sizeof key);
    dl_wipe(nonce, sizeof nonce);
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
        dl_string(&inside, DL_BYTES, SEALED, SEALED, &parts->sealed) != 0) {
        return DUNLIN_E_GRANT_SHAPE;
    }
    if (dl_string(&header, DL_BYTES, 0, SIZE_MAX, &parts->header) != 0) {
        return DUNLIN_E_COSE_SHAPE;
    }
    const bool exact =
        parts->header.size == HEADER && memcmp(parts->header.data, header_prefix, sizeof header_prefix) == 0;
    return exact ? 0 : DUNLIN_E_COSE_HEADER;
}

int dl_grant_open(struct dunlin_span grant, psa_key_id_t kem, const uint8_t release[DUNLIN_DIGEST],
                  const char *recipient, uint8_t cek[DUNLIN_CEK]) {
    /* ["dnb/v1 grant", header, release digest, recipient] */
    uint8_t info[1 + 13 + 1 + HEADER + 2 + DUNLIN_DIGEST + 2 + DUNLIN_DEVICE] = "\x84\x6c" "dnb/v1 grant\x51";
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
    const size_t name = strlen(recipient);
    if (memcmp(kid, parts.header.data + HEADER - DUNLIN_KID, DUNLIN_KID) != 0) {
        return DUNLIN_E_GRANT_OPEN;
    }
    if (name > DUNLIN_DEVICE) {
        return DUNLIN_E_ARGUMENT;
    }
    uint8_t *at = info + 15;
    memcpy(at, parts.header.data, HEADER);
    at += HEADER;
    *at++ = 0x58, *at++ = DUNLIN_DIGEST;
    memcpy(at, release, DUNLIN_DIGEST);
    at += DUNLIN_DIGEST;
    if (name >= 24) {
        *at++ = 0x78, *at++ = (uint8_t)name;
    } else {
        *at++ = (uint8_t)(0x60 + name);
    }
    memcpy(at, recipient, name);
    at += name;
    return dl_hpke_open(kem, spki, parts.enc.data, SPAN(info, (size_t)(at - info)), parts.sealed, cek);
}
