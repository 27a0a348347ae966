#include <string.h>

#include "contract/cose.h"
#include "contract/schema.h"

enum { DEVICE = 1, EPOCH, SEQ, ISSUED, EXPIRES, MODELS, SETTINGS, WIPE, NONCE, ROOT }; /* keys of a directive */
enum { RELEASE, FLOOR, GRANT, LEASE, MANIFEST, PAGES };                               /* of one model in it */

static void read_desired(const uint8_t *record, struct dl_desired *desired) {
    const struct dunlin_span grant = dl_content(record, GRANT);
    const uint8_t *const lease = dl_lookup(record, LEASE);
    struct dunlin_span pages = dl_content(record, PAGES);
    memset(desired, 0, sizeof *desired);
    dl_copy_bytes(desired->release, DUNLIN_DIGEST, record, RELEASE);
    dl_copy_bytes(desired->manifest, DUNLIN_DIGEST, record, MANIFEST);
    desired->floor = (uint32_t)dl_number(record, FLOOR);
    desired->grant_size = (uint16_t)(grant.size < sizeof desired->grant ? grant.size : sizeof desired->grant);
    memcpy(desired->grant, grant.data, desired->grant_size);
    desired->lease_s = (uint32_t)dl_number(lease, 0);
    desired->lease_action = (uint8_t)dl_choice_at(lease, 1, DL_CHOICE_LEASE_ACTION);
    for (; pages.size > 0; desired->pages++) {
        const struct dunlin_span page = dl_take(&pages);
        if (desired->pages < DUNLIN_INDEX_PAGES) {
            memcpy(desired->page[desired->pages], page.data, DUNLIN_DIGEST);
        }
    }
}

int dl_desired_read(struct dunlin_span record, struct dl_desired *desired) {
    const int error = dl_schema_check(record, DUNLIN_DIRECTIVE_BYTES, DL_RECORD_DESIRED);
    if (!error) {
        read_desired(record.data, desired);
    }
    return error;
}

static void read_models(struct dl_directive *directive) {
    struct dunlin_span in = directive->models_map;
    for (; in.size > 0; directive->models++) {
        const struct dunlin_span name = dl_take(&in);
        const uint8_t *const record = dl_next(&in);
        if (directive->models == 0) {
            read_desired(record, &directive->desired);
            dl_copy_text(directive->desired.model, sizeof directive->desired.model, name);
        } else if (directive->models == 1) {
            dl_copy_text(directive->refused, sizeof directive->refused, name);
        }
    }
}

int dl_directive_read(struct dunlin_span payload, struct dl_directive *directive) {
    const int error = dl_schema_check(payload, DUNLIN_DIRECTIVE_BYTES, DL_RECORD_DIRECTIVE);
    if (error) {
        return error;
    }
    const uint8_t *const record = payload.data;
    memset(directive, 0, sizeof *directive);
    directive->device = dl_content(record, DEVICE);
    directive->epoch = (uint32_t)dl_number(record, EPOCH);
    directive->seq = dl_number(record, SEQ);
    directive->issued = dl_number(record, ISSUED);
    directive->expires = dl_number(record, EXPIRES);
    directive->models_map = dl_content(record, MODELS);
    directive->settings = dl_bytes(record, SETTINGS);
    directive->wipe = dl_content(record, WIPE);
    directive->nonce = dl_bytes(record, NONCE);
    directive->root = dl_bytes(record, ROOT);
    read_models(directive);
    return directive->issued < directive->expires ? dl_sha256(payload, directive->digest) : DUNLIN_E_DIRECTIVE_TIME;
}

int dl_directive_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_directive *directive) {
    struct dunlin_span payload;
    const int error = dl_cose_verify1(envelope, "dnb/v1/directive", (struct dl_signers){root, DL_ROLE_DIRECTOR, NULL},
                                      DUNLIN_DIRECTIVE_BYTES, &payload);
    return error ? error : dl_directive_read(payload, directive);
}

const uint8_t *dl_directive_peek_root(struct dunlin_span envelope) {
    struct dunlin_span payload;
    const bool good = dl_cose_peek(envelope, DL_SIGN1, DUNLIN_DIRECTIVE_BYTES, &payload) == 0 &&
                      dl_schema_check(payload, DUNLIN_DIRECTIVE_BYTES, DL_RECORD_DIRECTIVE) == 0;
    return good ? dl_bytes(payload.data, ROOT) : NULL;
}

int dl_directive_decide(const struct dl_memory *memory, const struct dl_directive *directive, uint64_t elapsed_s) {
    if (!dl_is(directive->device, memory->device)) {
        return DUNLIN_E_DEVICE;
    }
    if (directive->epoch != memory->epoch) {
        return DUNLIN_E_EPOCH;
    }
    if (directive->seq == memory->seq) {
        return dl_equal(directive->digest, memory->digest, DUNLIN_DIGEST) ? DL_FOLLOWED : DUNLIN_E_EQUIVOCATION;
    }
    if (directive->seq < memory->seq) {
        return DUNLIN_E_SEQUENCE;
    }
    const bool answers = directive->nonce && dl_equal(directive->nonce, memory->nonce, DUNLIN_ID);
    return answers || directive->expires > memory->time_floor + elapsed_s ? 0 : DUNLIN_E_FRESHNESS;
}

int dl_release_check(const struct dl_desired *desired, const struct dl_manifest *manifest) {
    if (!dl_equal(desired->release, manifest->digest, DUNLIN_DIGEST) || strcmp(desired->model, manifest->name) != 0) {
        return DUNLIN_E_RELEASE;
    }
    return manifest->counter < desired->floor ? DUNLIN_E_FLOOR : 0;
}
