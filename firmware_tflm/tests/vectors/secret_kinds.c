/* Vectors of what is encrypted: chunks, grants, and the HPKE and HKDF under them. */
#include <string.h>

#include "contract/verify.h"
#include "fields.h"

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

int run_secrets(const char *kind, const struct fields *in) {
    static const struct kind kinds[] = {
        {"chunk", run_chunk},
        {"grant", run_grant},
        {"hpke", run_hpke},
        {"hkdf", run_hkdf},
    };
    return run_kind(kinds, sizeof kinds / sizeof kinds[0], kind, in);
}
