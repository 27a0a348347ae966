/* Root metadata: who may sign what. Looked up in place, wherever its envelope lies. */
#include <string.h>

#include "contract/cose.h"
#include "contract/schema.h"

enum { VERSION = 1, ISSUED, NOT_AFTER, EPOCH, KEYS, ROLES };   /* keys of a root */
enum { THRESHOLD, KIDS };                                      /* of a role in it */
#define ROLE_COUNT 6

/* The key under an id; NULL: none is. */
static const uint8_t *find_key(const uint8_t *root, struct dunlin_span kid) {
    struct dunlin_span keys = dl_content(root, KEYS);
    while (keys.size > 0) {
        const struct dunlin_span one = dl_take(&keys), spki = dl_take(&keys);
        if (dl_same(one, kid)) {
            return spki.data;
        }
    }
    return NULL;
}

/* Record of a role; NULL: the root lacks it. */
static const uint8_t *find_role(const uint8_t *root, enum dl_role role) {
    struct dunlin_span roles = dl_content(root, ROLES);
    while (roles.size > 0) {
        const int name = dl_choice(DL_CHOICE_ROLE_NAME, dl_take(&roles));
        const uint8_t *const record = dl_next(&roles);
        if (name == (int)role) {
            return record;
        }
    }
    return NULL;
}

int dl_signer(const struct dl_signers *signers, const uint8_t kid[DUNLIN_KID], const uint8_t **spki) {
    const struct dunlin_span wanted = {kid, DUNLIN_KID};
    if (!signers->root) {
        uint8_t own[DUNLIN_KID];
        *spki = signers->spki;
        return dl_kid(signers->spki, own) == 0 && memcmp(own, kid, DUNLIN_KID) == 0 ? 0 : -1;
    }
    const uint8_t *const root = signers->root->payload.data;
    struct dunlin_span kids = dl_content(find_role(root, signers->role), KIDS);
    for (int place = 0; kids.size > 0; place++) {
        if (dl_same(dl_take(&kids), wanted)) {
            *spki = find_key(root, wanted);
            return *spki ? place : -1;
        }
    }
    return -1;
}

uint32_t dl_root_threshold(const struct dl_root *root, enum dl_role role) {
    const uint8_t *const record = find_role(root->payload.data, role);
    return record ? (uint32_t)dl_number(record, THRESHOLD) : UINT32_MAX;
}

static int check_role(const uint8_t *root, enum dl_role role) {
    const uint8_t *const record = find_role(root, role);
    struct dunlin_span kids = dl_content(record, KIDS);
    const uint64_t threshold = dl_number(record, THRESHOLD);
    uint64_t count = 0;
    for (; kids.size > 0; count++) {
        if (!find_key(root, dl_take(&kids))) {
            return DUNLIN_E_ROOT_KEY;
        }
    }
    return count == 0 ? DUNLIN_E_ROOT_ROLE
           : threshold > count || (role == DL_ROLE_OPS && threshold < 2) ? DUNLIN_E_THRESHOLD
                                                                         : 0;
}

/* Each listed key must be one, and stand under its own id. */
static int check_keys(struct dunlin_span keys) {
    uint8_t own[DUNLIN_KID];
    int error = 0;
    while (keys.size > 0 && !error) {
        const struct dunlin_span kid = dl_take(&keys), spki = dl_take(&keys);
        error = dl_spki_check(spki.data);
        if (!error) {
            error = dl_kid(spki.data, own);
        }
        if (!error && memcmp(own, kid.data, DUNLIN_KID) != 0) {
            error = DUNLIN_E_ROOT_KEY;
        }
    }
    return error;
}

static int read(struct dunlin_span payload, struct dl_root *root) {
    const int error = dl_schema_check(payload, DUNLIN_ROOT_BYTES, DL_RECORD_ROOT);
    if (!error) {
        root->payload = payload;
        root->version = (uint32_t)dl_number(payload.data, VERSION);
        root->epoch = (uint32_t)dl_number(payload.data, EPOCH);
        root->issued = dl_number(payload.data, ISSUED);
    }
    return error;
}

static int open_payload(struct dunlin_span payload, struct dl_root *root) {
    int error = read(payload, root);
    if (!error) {
        error = check_keys(dl_content(payload.data, KEYS));
    }
    for (int role = 0; role < ROLE_COUNT && !error; role++) {
        error = check_role(payload.data, (enum dl_role)role);
    }
    return error;
}

static int verify(struct dunlin_span envelope, const struct dl_root *by, struct dunlin_span *payload) {
    return dl_cose_verify(envelope, "dnb/v1/root", (struct dl_signers){by, DL_ROLE_ROOT, NULL},
                          dl_root_threshold(by, DL_ROLE_ROOT), DUNLIN_ROOT_BYTES, payload);
}

int dl_root_open_known(struct dunlin_span envelope, struct dl_root *root) {
    struct dunlin_span payload;
    const int error = dl_cose_peek(envelope, DL_SIGN, DUNLIN_ROOT_BYTES, &payload);
    return error ? error : read(payload, root); /* checked again: flash may have decayed */
}

int dl_root_first(struct dunlin_span envelope, const uint8_t digest[DUNLIN_DIGEST], struct dl_root *root) {
    uint8_t own[DUNLIN_DIGEST];
    struct dunlin_span payload;
    int error = dl_cose_peek(envelope, DL_SIGN, DUNLIN_ROOT_BYTES, &payload);
    if (!error) {
        error = dl_sha256(payload, own);
    }
    if (!error && !dl_equal(own, digest, DUNLIN_DIGEST)) {
        error = DUNLIN_E_ROOT_KEY;
    }
    if (!error) {
        error = open_payload(payload, root);
    }
    return error ? error : verify(envelope, root, &payload);
}

int dl_root_next(struct dunlin_span envelope, const struct dl_root *current, struct dl_root *root) {
    struct dunlin_span payload;
    int error = verify(envelope, current, &payload);
    if (!error) {
        error = open_payload(payload, root);
    }
    if (!error) {
        error = verify(envelope, root, &payload);
    }
    if (!error && root->version - 1 != current->version) {
        error = DUNLIN_E_ROOT_VERSION;
    }
    return error ? error : root->epoch < current->epoch ? DUNLIN_E_ROOT_EPOCH : 0;
}
