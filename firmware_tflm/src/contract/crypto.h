/* The one suite of the contract, on the PSA Crypto API (subset of Mbed TLS 2.28, 3.6 and TF-M).
 * All return 0 or a DUNLIN_E code; CRYPTO when the library itself fails. */
#ifndef DL_CRYPTO_H
#define DL_CRYPTO_H

#include <stdbool.h>

#include <psa/crypto.h>

#include "dunlin/contract.h"

int dl_sha256(struct dunlin_span data, uint8_t digest[DUNLIN_DIGEST]);
/* SHA-256(prefix byte || data): Merkle leaves. */
int dl_leaf(struct dunlin_span chunk, uint8_t leaf[DUNLIN_DIGEST]);

/* SHA-256 in pieces: failures show at the end. */
struct dl_hash {
    bool failed;
    psa_hash_operation_t state;
};
void dl_hash_start(struct dl_hash *hash);
void dl_hash_add(struct dl_hash *hash, const void *data, size_t size);
int dl_hash_end(struct dl_hash *hash, uint8_t digest[DUNLIN_DIGEST]);

/* ECDSA P-256/SHA-256 over a finished hash; `spki` is the contract's 91-byte SubjectPublicKeyInfo. SIGNATURE. */
int dl_verify_hash(const uint8_t spki[DUNLIN_SPKI], const uint8_t hash[DUNLIN_DIGEST],
                   const uint8_t signature[DUNLIN_SIGNATURE]);
int dl_sign_hash(psa_key_id_t key, const uint8_t hash[DUNLIN_DIGEST], uint8_t signature[DUNLIN_SIGNATURE]);

/* The SPKI of a P-256 key in the store. KEYSTORE. */
int dl_public_spki(psa_key_id_t key, uint8_t spki[DUNLIN_SPKI]);
int dl_kid(const uint8_t spki[DUNLIN_SPKI], uint8_t kid[DUNLIN_KID]);
/* Whether 91 bytes are a key in its one encoding, on the curve. ROOT_KEY. */
int dl_spki_check(const uint8_t spki[DUNLIN_SPKI]);

/* HMAC-SHA256 (RFC 2104) over the parts in order; `secret` may not be empty. */
int dl_hmac(struct dunlin_span secret, const struct dunlin_span *parts, size_t count, uint8_t mac[DUNLIN_DIGEST]);
/* HKDF-SHA256 (RFC 5869), out_size at most 255 * 32. */
int dl_hkdf(struct dunlin_span secret, struct dunlin_span salt, struct dunlin_span info, uint8_t *out, size_t out_size);

/* ChaCha20-Poly1305 (RFC 8439) open; out holds cipher.size - 16 bytes and must not overlap. CHUNK_OPEN. */
int dl_aead_open(const uint8_t key[32], const uint8_t nonce[12], struct dunlin_span cipher, uint8_t *out);

/* Equality without a data-dependent branch. */
int dl_equal(const uint8_t *a, const uint8_t *b, size_t size);
void dl_wipe(void *secret, size_t size);

#endif
