#include "contract/crypto.h"

#include <string.h>

#include "dunlin/error.h"

#define POINT_AT 26 /* SubjectPublicKeyInfo of P-256: a fixed prefix, then the point with its 04 */

static const uint8_t spki_prefix[POINT_AT] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                              0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                              0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

/* ---- hashes ---------------------------------------------------------------------------------------------------------- */

void dl_hash_start(struct dl_hash *hash) {
    hash->state = psa_hash_operation_init();
    hash->failed = psa_hash_setup(&hash->state, PSA_ALG_SHA_256) != PSA_SUCCESS;
}

void dl_hash_add(struct dl_hash *hash, const void *data, size_t size) {
    if (!hash->failed && size > 0) {
        hash->failed = psa_hash_update(&hash->state, data, size) != PSA_SUCCESS;
    }
}

int dl_hash_end(struct dl_hash *hash, uint8_t digest[DUNLIN_DIGEST]) {
    size_t size;
    if (!hash->failed && psa_hash_finish(&hash->state, digest, DUNLIN_DIGEST, &size) == PSA_SUCCESS) {
        return 0;
    }
    psa_hash_abort(&hash->state);
    memset(digest, 0, DUNLIN_DIGEST);
    return DUNLIN_E_CRYPTO;
}

int dl_sha256(struct dunlin_span data, uint8_t digest[DUNLIN_DIGEST]) {
    struct dl_hash hash;
    dl_hash_start(&hash);
    dl_hash_add(&hash, data.data, data.size);
    return dl_hash_end(&hash, digest);
}

int dl_leaf(struct dunlin_span chunk, uint8_t leaf[DUNLIN_DIGEST]) {
    struct dl_hash hash;
    dl_hash_start(&hash);
    dl_hash_add(&hash, "\x00", 1);
    dl_hash_add(&hash, chunk.data, chunk.size);
    return dl_hash_end(&hash, leaf);
}

/* ---- keys and signatures ----------------------------------------------------------------------------------------------- */

static psa_status_t import(psa_key_type_t type, psa_key_usage_t usage, psa_algorithm_t algorithm, const uint8_t *data,
                           size_t size, psa_key_id_t *key) {
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, type);
    psa_set_key_usage_flags(&attributes, usage);
    psa_set_key_algorithm(&attributes, algorithm);
    return psa_import_key(&attributes, data, size, key);
}

static psa_status_t import_spki(const uint8_t spki[DUNLIN_SPKI], psa_key_id_t *key) {
    if (memcmp(spki, spki_prefix, POINT_AT) != 0 || spki[POINT_AT] != 0x04) {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    return import(PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1), PSA_KEY_USAGE_VERIFY_HASH,
                  PSA_ALG_ECDSA(PSA_ALG_SHA_256), spki + POINT_AT, DUNLIN_POINT, key);
}

/* Whether the library, not the input, is to blame. */
static bool is_failure(psa_status_t status) {
    return status == PSA_ERROR_INSUFFICIENT_MEMORY || status == PSA_ERROR_NOT_SUPPORTED ||
           status == PSA_ERROR_BAD_STATE || status == PSA_ERROR_HARDWARE_FAILURE ||
           status == PSA_ERROR_CORRUPTION_DETECTED || status == PSA_ERROR_INSUFFICIENT_ENTROPY;
}

int dl_verify_hash(const uint8_t spki[DUNLIN_SPKI], const uint8_t hash[DUNLIN_DIGEST],
                   const uint8_t signature[DUNLIN_SIGNATURE]) {
    /* Read twice: one skipped branch (a glitch on the supply) must not make a signature good. */
    volatile psa_status_t verdict = PSA_ERROR_GENERIC_ERROR;
    psa_key_id_t key;
    verdict = import_spki(spki, &key);
    if (verdict == PSA_SUCCESS) {
        verdict = PSA_ERROR_GENERIC_ERROR;
        verdict = psa_verify_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash, DUNLIN_DIGEST, signature, DUNLIN_SIGNATURE);
        psa_destroy_key(key);
    }
    if (verdict != PSA_SUCCESS) {
        return is_failure(verdict) ? DUNLIN_E_CRYPTO : DUNLIN_E_SIGNATURE;
    }
    return verdict == PSA_SUCCESS ? 0 : DUNLIN_E_SIGNATURE;
}

int dl_sign_hash(psa_key_id_t key, const uint8_t hash[DUNLIN_DIGEST], uint8_t signature[DUNLIN_SIGNATURE]) {
    size_t size = 0;
    /* RFC 6979: a weak generator of random numbers then gives no key away. */
    const psa_status_t status = psa_sign_hash(key, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256), hash, DUNLIN_DIGEST,
                                              signature, DUNLIN_SIGNATURE, &size);
    if (status == PSA_SUCCESS && size == DUNLIN_SIGNATURE) {
        return 0;
    }
    return status == PSA_ERROR_INVALID_HANDLE || status == PSA_ERROR_NOT_PERMITTED ? DUNLIN_E_KEYSTORE : DUNLIN_E_CRYPTO;
}

int dl_public_spki(psa_key_id_t key, uint8_t spki[DUNLIN_SPKI]) {
    size_t size = 0;
    memcpy(spki, spki_prefix, POINT_AT);
    const psa_status_t status = psa_export_public_key(key, spki + POINT_AT, DUNLIN_POINT, &size);
    return status == PSA_SUCCESS && size == DUNLIN_POINT ? 0 : DUNLIN_E_KEYSTORE;
}

int dl_kid(const uint8_t spki[DUNLIN_SPKI], uint8_t kid[DUNLIN_KID]) {
    uint8_t digest[DUNLIN_DIGEST];
    const int error = dl_sha256((struct dunlin_span){spki, DUNLIN_SPKI}, digest);
    memcpy(kid, digest, DUNLIN_KID);
    return error;
}

int dl_spki_check(const uint8_t spki[DUNLIN_SPKI]) {
    psa_key_id_t key;
    const psa_status_t status = import_spki(spki, &key); /* importing checks that the point lies on the curve */
    if (status == PSA_SUCCESS) {
        psa_destroy_key(key);
        return 0;
    }
    return is_failure(status) ? DUNLIN_E_CRYPTO : DUNLIN_E_ROOT_KEY;
}

/* ---- HMAC, HKDF ---------------------------------------------------------------------------------------------------------- */

int dl_hmac(struct dunlin_span secret, const struct dunlin_span *parts, size_t count, uint8_t mac[DUNLIN_DIGEST]) {
    psa_mac_operation_t state = psa_mac_operation_init();
    psa_key_id_t key;
    size_t size;
    psa_status_t status = import(PSA_KEY_TYPE_HMAC, PSA_KEY_USAGE_SIGN_MESSAGE, PSA_ALG_HMAC(PSA_ALG_SHA_256),
                                 secret.data, secret.size, &key);
    if (status != PSA_SUCCESS) {
        return DUNLIN_E_CRYPTO;
    }
    status = psa_mac_sign_setup(&state, key, PSA_ALG_HMAC(PSA_ALG_SHA_256));
    for (size_t i = 0; i < count && status == PSA_SUCCESS; i++) {
        status = parts[i].size ? psa_mac_update(&state, parts[i].data, parts[i].size) : PSA_SUCCESS;
    }
    if (status == PSA_SUCCESS) {
        status = psa_mac_sign_finish(&state, mac, DUNLIN_DIGEST, &size);
    }
    psa_mac_abort(&state);
    psa_destroy_key(key);
    return status == PSA_SUCCESS ? 0 : DUNLIN_E_CRYPTO;
}

int dl_hkdf(struct dunlin_span secret, struct dunlin_span salt, struct dunlin_span info, uint8_t *out, size_t out_size) {
    static const uint8_t no_salt[DUNLIN_DIGEST];
    uint8_t prk[DUNLIN_DIGEST], block[DUNLIN_DIGEST];
    const struct dunlin_span start = salt.size ? salt : (struct dunlin_span){no_salt, sizeof no_salt};
    int error = dl_hmac(start, &secret, 1, prk);
    uint8_t n = 1;
    for (size_t done = 0; done < out_size && !error; n++) {
        const struct dunlin_span parts[] = {{block, done ? sizeof block : 0}, info, {&n, 1}};
        error = dl_hmac((struct dunlin_span){prk, sizeof prk}, parts, 3, block);
        const size_t size = out_size - done < sizeof block ? out_size - done : sizeof block;
        memcpy(out + done, block, size);
        done += size;
    }
    dl_wipe(prk, sizeof prk);
    dl_wipe(block, sizeof block);
    return error;
}

/* ---- AEAD, memory ---------------------------------------------------------------------------------------------------------- */

int dl_aead_open(const uint8_t key[32], const uint8_t nonce[12], struct dunlin_span cipher, uint8_t *out) {
    psa_key_id_t id;
    size_t size;
    if (cipher.size < DUNLIN_TAG) {
        return DUNLIN_E_CHUNK_OPEN;
    }
    psa_status_t status = import(PSA_KEY_TYPE_CHACHA20, PSA_KEY_USAGE_DECRYPT, PSA_ALG_CHACHA20_POLY1305, key, 32, &id);
    if (status != PSA_SUCCESS) {
        return DUNLIN_E_CRYPTO;
    }
    status = psa_aead_decrypt(id, PSA_ALG_CHACHA20_POLY1305, nonce, 12, NULL, 0, cipher.data, cipher.size, out,
                              cipher.size - DUNLIN_TAG, &size);
    psa_destroy_key(id);
    return status == PSA_SUCCESS ? 0 : is_failure(status) ? DUNLIN_E_CRYPTO : DUNLIN_E_CHUNK_OPEN;
}

int dl_equal(const uint8_t *a, const uint8_t *b, size_t size) {
    uint8_t differs = 0;
    for (size_t i = 0; i < size; i++) {
        differs |= a[i] ^ b[i];
    }
    return differs == 0;
}

void dl_wipe(void *secret, size_t size) {
    volatile uint8_t *byte = secret; /* volatile: the compiler may not find it useless */
    while (size--) {
        *byte++ = 0;
    }
}
