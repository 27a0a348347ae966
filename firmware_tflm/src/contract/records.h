/* What the device says: records written in their one encoding and signed by its identity key (COSE_Sign1).
 * Each writes a whole envelope into out[0 .. cap) and gives its size, or FULL, or what signing fails with. */
#ifndef DL_RECORDS_H
#define DL_RECORDS_H

#include "contract/verify.h"

enum dl_event_kind { /* order of the contract's list */
    DL_EVENT_BOOT, DL_EVENT_UPDATE_PLANNED, DL_EVENT_UPDATE_REFUSED, DL_EVENT_UPDATE_PROBATION,
    DL_EVENT_UPDATE_COMMITTED, DL_EVENT_UPDATE_ROLLED_BACK, DL_EVENT_MODEL_REMOVED, DL_EVENT_WORKER_CRASHED,
    DL_EVENT_OBJECT_CORRUPT, DL_EVENT_DIRECTIVE_REFUSED, DL_EVENT_LEASE_EXPIRED, DL_EVENT_WIPED, DL_EVENT_WIPE_REFUSED,
    DL_EVENT_ROOT_CHANGED, DL_EVENT_DEVICE_FAULT, DL_EVENT_NOTE
};
struct dl_event {
    const uint8_t *stream; /* 16 bytes */
    uint64_t n;
    uint8_t kind;
    uint64_t time_s, uptime_s;
    const char *model;      /* NULL or empty: none */
    const uint8_t *release; /* 32 bytes or NULL */
    const char *code, *text;
    struct dunlin_span receipt;
};
struct dl_model_state {
    const char *model; /* NULL: no model to speak of */
    const char *phase;
    const uint8_t *active, *previous, *candidate; /* 32 bytes or NULL */
    const char *error_code, *error_text, *variant;
    uint64_t served, chunks_have, chunks_need;
};
struct dl_report {
    uint32_t epoch;
    uint64_t seq;
    const uint8_t *nonce;
    const uint8_t (*missing)[DUNLIN_DIGEST];
    size_t missing_count;
    struct dl_model_state model;
    const char *refused_model; /* a second model that was desired, or NULL */
    const struct dl_description *device;
    uint64_t number, uptime_s, time_s;
    const char *agent_version;
    uint32_t root_version;
};
struct dl_receipt {
    const char *device;
    const uint8_t *order_digest;
    const char *model; /* erased one; NULL: there was none */
    const uint8_t *releases[4];
    size_t release_count;
    uint64_t files, bytes, time_s;
    bool canary_unreadable;
    const char *method;
    const uint8_t *kem; /* 91 bytes */
};
struct dl_enrol_request {
    const char *device;
    const uint8_t *token_id, *secret;
    const uint8_t *identity, *kem; /* 91 bytes each */
    const struct dl_description *description;
};
int dl_event_write(const struct dl_event *event, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size);
int dl_report_write(const struct dl_report *report, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size);
int dl_receipt_write(const struct dl_receipt *receipt, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size);
int dl_enrol_write(const struct dl_enrol_request *request, psa_key_id_t identity, uint8_t *out, size_t cap, size_t *size);

#endif
