/* COSE signatures (RFC 9052): Sign1 by one key, Sign by several; ESP256 (RFC 9864) only. */
#ifndef DL_COSE_H
#define DL_COSE_H

#include "contract/verify.h"

/* Who may sign: a role of a root in force, or (root NULL) one key. */
struct dl_signers {
    const struct dl_root *root;
    enum dl_role role;
    const uint8_t *spki;
};

/* The payload of an envelope of either form, its shape checked and nothing else. */
int dl_cose_peek(struct dunlin_span envelope, uint8_t tag, size_t cap, struct dunlin_span *payload);
/* `purpose`: the external_aad, such as "dnb/v1/ack". SIZE, ENCODING, CANONICAL, COSE_SHAPE, COSE_HEADER,
 * SIGNER_UNKNOWN, SIGNATURE; of several signers COUNT and THRESHOLD, too. */
int dl_cose_verify1(struct dunlin_span envelope, const char *purpose, struct dl_signers signers, size_t cap,
                    struct dunlin_span *payload);
int dl_cose_verify(struct dunlin_span envelope, const char *purpose, struct dl_signers signers, uint32_t threshold,
                   size_t cap, struct dunlin_span *payload);
/* Signs what lies at out[0 .. size): it becomes the payload of a COSE_Sign1 in the same buffer. FULL. */
int dl_cose_sign1(const char *purpose, psa_key_id_t key, uint8_t *out, size_t cap, size_t *size);

#define DL_SIGN1 18
#define DL_SIGN 98

/* In root.c: how many of a role's keys must sign; and the place of `kid` among a role's keys, and the key; -1: it may not sign. */
uint32_t dl_root_threshold(const struct dl_root *root, enum dl_role role);
int dl_signer(const struct dl_signers *signers, const uint8_t kid[DUNLIN_KID], const uint8_t **spki);

#endif
