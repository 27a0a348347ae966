#include "contract/cose.h"

#include <string.h>

#include "contract/cbor.h"
#include "contract/writer.h"

#define HEADER 13
#define SIGNATURES 16
#define BODY "\xa1\x03\x74" "application/dnb+cbor"
#define BODY_SIZE 23

static const uint8_t header_prefix[HEADER - DUNLIN_KID] = {0xa2, 0x01, 0x28, 0x04, 0x48}; /* {1: -9, 4: kid} */

struct parts {
    struct dunlin_span protected_header, payload, last; /* `last`: what follows the payload, an item */
};

static int take_apart(struct dunlin_span envelope, uint8_t tag, size_t cap, struct parts *parts) {
    const int error = dl_cbor_check(envelope, cap);
    if (error) {
        return error;
    }
    struct dunlin_span inside, item;
    uint64_t argument;
    if (dl_head(&envelope.data, &argument) != DL_TAG || argument != tag ||
        dl_list(&envelope, DL_ARRAY, 4, 4, &inside) != 0) {
        return DUNLIN_E_COSE_SHAPE;
    }
    item = dl_item(&inside);
    const struct dunlin_span unprotected = dl_item(&inside);
    if (unprotected.size != 1 || unprotected.data[0] != 0xa0) {
        return DUNLIN_E_COSE_HEADER;
    }
    if (dl_string(&inside, DL_BYTES, 0, SIZE_MAX, &parts->payload) != 0 ||
        dl_string(&item, DL_BYTES, 0, SIZE_MAX, &parts->protected_header) != 0) {
        return DUNLIN_E_COSE_SHAPE;
    }
    parts->last = dl_item(&inside);
    return 0;
}

static bool is_signer_header(struct dunlin_span header) {
    return header.size == HEADER && memcmp(header.data, header_prefix, sizeof header_prefix) == 0;
}

static void add_string(struct dl_hash *hash, struct dunlin_span content) {
    uint8_t head[9];
    struct dl_writer to = {.at = head, .room = sizeof head};
    dl_put_head(&to, DL_BYTES, content.size);
    dl_hash_add(hash, head, sizeof head - to.room);
    dl_hash_add(hash, content.data, content.size);
}

/* Hash of the Sig_structure (RFC 9052, section 4.4), in pieces: no copy of the payload is made. */
static int to_be_signed(uint8_t tag, struct dunlin_span header, const char *purpose, struct dunlin_span payload,
                        uint8_t digest[DUNLIN_DIGEST]) {
    struct dl_hash hash;
    dl_hash_start(&hash);
    if (tag == DL_SIGN1) {
        dl_hash_add(&hash, "\x84\x6aSignature1", 12);
    } else {
        dl_hash_add(&hash, "\x85\x69Signature\x57" BODY, 12 + BODY_SIZE);
    }
    add_string(&hash, header);
    add_string(&hash, (struct dunlin_span){(const uint8_t *)purpose, strlen(purpose)});
    add_string(&hash, payload);
    return dl_hash_end(&hash, digest);
}

static int holds(uint8_t tag, struct dunlin_span header, const char *purpose, struct dunlin_span payload,
                 const uint8_t *spki, struct dunlin_span signature) {
    uint8_t digest[DUNLIN_DIGEST];
    if (signature.size != DUNLIN_SIGNATURE) {
        return DUNLIN_E_SIGNATURE;
    }
    const int error = to_be_signed(tag, header, purpose, payload, digest);
    return error ? error : dl_verify_hash(spki, digest, signature.data);
}

int dl_cose_peek(struct dunlin_span envelope, uint8_t tag, size_t cap, struct dunlin_span *payload) {
    struct parts parts;
    const int error = take_apart(envelope, tag, cap, &parts);
    *payload = parts.payload;
    return error;
}

int dl_cose_verify1(struct dunlin_span envelope, const char *purpose, struct dl_signers signers, size_t cap,
                    struct dunlin_span *payload) {
    struct parts parts;
    struct dunlin_span signature;
    const uint8_t *spki;
    const int error = take_apart(envelope, DL_SIGN1, cap, &parts);
    if (error) {
        return error;
    }
    if (!is_signer_header(parts.protected_header)) {
        return DUNLIN_E_COSE_HEADER;
    }
    if (dl_signer(&signers, parts.protected_header.data + HEADER - DUNLIN_KID, &spki) < 0) {
        return DUNLIN_E_SIGNER_UNKNOWN;
    }
    if (dl_string(&parts.last, DL_BYTES, 0, SIZE_MAX, &signature) != 0) {
        return DUNLIN_E_COSE_SHAPE;
    }
    *payload = parts.payload;
    return holds(DL_SIGN1, parts.protected_header, purpose, parts.payload, spki, signature);
}

struct signature {
    struct dunlin_span header, value;
};

static int take_signature(struct dunlin_span *in, struct signature *one) {
    struct dunlin_span part;
    if (dl_list(in, DL_ARRAY, 3, 3, &part) != 0 || dl_string(&part, DL_BYTES, 0, SIZE_MAX, &one->header) != 0) {
        return DUNLIN_E_COSE_SHAPE;
    }
    const struct dunlin_span unprotected = dl_item(&part);
    if (unprotected.size != 1 || unprotected.data[0] != 0xa0 ||
        dl_string(&part, DL_BYTES, 0, SIZE_MAX, &one->value) != 0) {
        return DUNLIN_E_COSE_SHAPE;
    }
    return is_signer_header(one->header) ? 0 : DUNLIN_E_COSE_HEADER;
}

static uint32_t count_bits(uint32_t set) {
    uint32_t count = 0;
    for (; set; set &= set - 1) {
        count++;
    }
    return count;
}

int dl_cose_verify(struct dunlin_span envelope, const char *purpose, struct dl_signers signers, uint32_t threshold,
                   size_t cap, struct dunlin_span *payload) {
    struct parts parts;
    struct dunlin_span list;
    volatile uint32_t signed_by = 0; /* bit k: the role's k-th key; a key that signs twice counts once */
    int error = take_apart(envelope, DL_SIGN, cap, &parts);
    if (error) {
        return error;
    }
    if (parts.protected_header.size != BODY_SIZE || memcmp(parts.protected_header.data, BODY, BODY_SIZE) != 0) {
        return DUNLIN_E_COSE_HEADER;
    }
    error = dl_list(&parts.last, DL_ARRAY, 1, SIGNATURES, &list);
    if (error) {
        return error == DUNLIN_E_COUNT && list.size > 0 ? DUNLIN_E_COUNT : DUNLIN_E_COSE_SHAPE;
    }
    while (list.size > 0) {
        struct signature one;
        const uint8_t *spki;
        error = take_signature(&list, &one);
        if (error) {
            return error;
        }
        const int place = dl_signer(&signers, one.header.data + HEADER - DUNLIN_KID, &spki);
        if (place >= 0) {
            error = holds(DL_SIGN, one.header, purpose, parts.payload, spki, one.value);
            if (error) {
                return error;
            }
            signed_by |= 1u << place;
        }
    }
    if (signed_by == 0) {
        return DUNLIN_E_SIGNER_UNKNOWN;
    }
    /* Counted twice, as dl_verify_hash() looks twice. */
    if (count_bits(signed_by) < threshold) {
        return DUNLIN_E_THRESHOLD;
    }
    *payload = parts.payload;
    return count_bits(signed_by) >= threshold ? 0 : DUNLIN_E_THRESHOLD;
}

int dl_cose_sign1(const char *purpose, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size) {
    const size_t length = *size, before = 17 + (length < 24 ? 1 : length < 256 ? 2 : 3), behind = 2 + DUNLIN_SIGNATURE;
    uint8_t spki[DUNLIN_SPKI], digest[DUNLIN_DIGEST], header[HEADER];
    const struct dunlin_span protected_header = {header, HEADER};
    struct dl_writer to = {.at = out, .room = before};
    if (length > UINT16_MAX || cap < before + length + behind) {
        return DUNLIN_E_FULL;
    }
    memcpy(header, header_prefix, sizeof header_prefix);
    int error = dl_public_spki(key, spki);
    if (!error) {
        error = dl_kid(spki, header + HEADER - DUNLIN_KID);
    }
    if (!error) {
        error = to_be_signed(DL_SIGN1, protected_header, purpose, (struct dunlin_span){out, length}, digest);
    }
    memmove(out + before, out, length);
    dl_put_head(&to, DL_TAG, DL_SIGN1);
    dl_put_head(&to, DL_ARRAY, 4);
    dl_put_span(&to, DL_BYTES, protected_header);
    dl_put_head(&to, DL_MAP, 0);
    dl_put_head(&to, DL_BYTES, length);
    to.at += length, to.room = behind;
    dl_put_head(&to, DL_BYTES, DUNLIN_SIGNATURE);
    if (!error) {
        error = dl_sign_hash(key, digest, to.at);
    }
    *size = before + length + behind;
    return error;
}
