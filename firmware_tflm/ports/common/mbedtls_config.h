/* Mbed TLS 2.28 with the one suite of the contract and nothing else: no AES, no files, no network, no X.509.
 * A port gives the randomness (random.h) and the key storage (its_store.h). */
#ifndef MBEDTLS_CONFIG_H
#define MBEDTLS_CONFIG_H

#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_STORAGE_C      /* persistent keys, through psa_its_*() of its_store.c */
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG   /* mbedtls_psa_external_get_random() of random.c */
#define MBEDTLS_PSA_KEY_SLOT_COUNT 4      /* keys open at a time: identity, KEM, and those of one operation */

#define MBEDTLS_SHA256_C
#define MBEDTLS_MD_C
#define MBEDTLS_HMAC_DRBG_C               /* for deterministic ECDSA (RFC 6979): a weak generator leaks no key */
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_CIPHER_C                  /* psa_aead_decrypt() asks it about ChaCha20 */

#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
/* PSA blinds what involves a private key with the generator above; verification has nothing to blind. */
#define MBEDTLS_ECP_NO_INTERNAL_RNG
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_ECDH_C
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
/* Heap and flash before speed: no table of multiples of the base point is kept. */
#define MBEDTLS_ECP_WINDOW_SIZE 2
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
#define MBEDTLS_MPI_WINDOW_SIZE 1
#define MBEDTLS_MPI_MAX_SIZE 64

#define MBEDTLS_HAVE_ASM

#include "mbedtls/check_config.h"

#endif
