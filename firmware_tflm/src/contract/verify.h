/* From hostile bytes to facts. Every function reads a whole message that stays where it is (RAM or mapped flash) and
 * gives spans into it: nothing is copied, nothing is read again from its source after it was verified.
 *
 * What is short comes first in a struct: a Cortex-M reaches 32 bytes, or 32 words, in two bytes of code. */
#ifndef DL_VERIFY_H
#define DL_VERIFY_H

#include <stdbool.h>

#include "contract/crypto.h"
#include "dunlin/contract.h"
#include "dunlin/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Well-formed, the one deterministic encoding, nested at most 16 deep, no tag but 18 and 98. SIZE, ENCODING, CANONICAL. */
int dl_cbor_check(struct dunlin_span message, size_t cap);

/* ---- root: a verified root's payload, looked up in place ------------------------------------------------------- */
enum dl_role { DL_ROLE_ROOT, DL_ROLE_RELEASE, DL_ROLE_DIRECTOR, DL_ROLE_OPS, DL_ROLE_CA, DL_ROLE_VAULT };
struct dl_root {
    struct dunlin_span payload;
    uint32_t version, epoch;
    uint64_t issued;
};
/* Open an envelope whose digest (SHA-256 of the payload) is known and which was verified before: no signatures. */
int dl_root_open_known(struct dunlin_span envelope, struct dl_root *root);
/* First root, pinned by digest; signed by its own root role. */
int dl_root_first(struct dunlin_span envelope, const uint8_t digest[DUNLIN_DIGEST], struct dl_root *root);
int dl_root_next(struct dunlin_span envelope, const struct dl_root *current, struct dl_root *root);

/* ---- directive --------------------------------------------------------------------------------------------------- */
enum dl_lease_action { DL_LEASE_WARN, DL_LEASE_STOP };
struct dl_desired { /* copied out: fits into a journal record */
    char model[DUNLIN_NAME + 1];
    uint8_t release[DUNLIN_DIGEST];
    uint32_t floor;
    uint8_t grant[160]; /* one that is longer is cut, and so opens nothing */
    uint16_t grant_size;
    uint32_t lease_s;
    uint8_t lease_action;
    uint8_t pages; /* how many are named, of which at most DUNLIN_INDEX_PAGES follow */
    uint8_t manifest[DUNLIN_DIGEST];
    uint8_t page[DUNLIN_INDEX_PAGES][DUNLIN_DIGEST];
};
struct dl_directive {
    uint8_t models; /* how many are desired */
    uint32_t epoch;
    uint64_t seq, issued, expires;
    struct dunlin_span device;
    struct dunlin_span models_map; /* for dl_wipe_check: all names */
    struct dunlin_span wipe;       /* empty: none */
    const uint8_t *settings;       /* 32 bytes or NULL */
    const uint8_t *nonce;          /* 16 bytes or NULL */
    const uint8_t *root;           /* 32 bytes or NULL: object name of the next root */
    uint8_t digest[DUNLIN_DIGEST];
    char refused[DUNLIN_NAME + 1]; /* name of the second: this device holds one; empty if there is none */
    struct dl_desired desired;     /* the first of them */
};
/* Signed by the director role; schema; across fields. */
int dl_directive_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_directive *directive);
/* The same of a payload whose signature was verified, or does not matter. */
int dl_directive_read(struct dunlin_span payload, struct dl_directive *directive);
int dl_desired_read(struct dunlin_span record, struct dl_desired *desired);
/* The name of the next root, from a directive that may be refused (a stolen director key must not block a rotation). */
const uint8_t *dl_directive_peek_root(struct dunlin_span envelope);

struct dl_memory {
    const char *device;
    uint32_t epoch;
    uint64_t seq;
    const uint8_t *digest; /* 32 bytes */
    const uint8_t *nonce;  /* 16 bytes */
    uint64_t time_floor;
};
#define DL_FOLLOWED (-1)
/* 0: news; DL_FOLLOWED: the one already followed; DEVICE, EPOCH, SEQUENCE, EQUIVOCATION, FRESHNESS. */
int dl_directive_decide(const struct dl_memory *memory, const struct dl_directive *directive, uint64_t elapsed_s);

struct dl_ack {
    struct dunlin_span device;
    uint8_t stream[DUNLIN_ID];
    uint64_t n;
};
int dl_ack_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_ack *ack);

/* ---- manifest, variant, payloads ------------------------------------------------------------------------------------ */
enum dl_payload_role { DL_MODEL, DL_LABELS, DL_GOLDEN, DL_BASELINE, DL_REPORT, DL_PROVENANCE };
struct dl_payload {
    uint8_t id[DUNLIN_ID];
    uint8_t role; /* enum dl_payload_role */
    uint32_t installed, chunks;
    uint32_t leaf_from; /* of its first chunk, in the whole index */
    uint8_t sha256[DUNLIN_DIGEST];
    uint8_t merkle[DUNLIN_DIGEST];
};
struct dl_op {
    struct dunlin_span name; /* such as CONV_2D */
    uint32_t version;        /* UINT32_MAX: any */
};
struct dl_variant { /* a variant that this device takes: copied out */
    uint8_t index;
    uint8_t payloads, model, golden; /* count, and places in payload[] */
    uint16_t top1;                   /* permille of samples */
    uint32_t arena, p95_us;
    double tolerance;                /* golden: absolute, in the output's stored units */
    const uint8_t *fit, *io;         /* records inside the manifest */
    char kind[24 + 1];
    struct dl_payload payload[DUNLIN_PAYLOADS];
};
struct dl_manifest {
    uint8_t variants;
    uint32_t counter;
    struct dunlin_span payload, version;
    struct dunlin_span variant_list, payload_list; /* items of the two arrays, in place */
    uint8_t digest[DUNLIN_DIGEST];
    char name[DUNLIN_NAME + 1];
};
/* Signed by the release role; schema; across fields, all variants and payloads. */
int dl_manifest_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_manifest *manifest);
/* The same of a payload whose signature was verified, or does not matter. */
int dl_manifest_read(struct dunlin_span payload, struct dl_manifest *manifest);
/* A slot's manifest, verified before it was written: compared with its release digest instead of signatures. */
int dl_manifest_open_known(struct dunlin_span envelope, const uint8_t digest[DUNLIN_DIGEST],
                           struct dl_manifest *manifest);
int dl_release_check(const struct dl_desired *desired, const struct dl_manifest *manifest); /* RELEASE, FLOOR */

/* ---- hardware fit (SPEC, section 12): the same verdict as in Python ----------------------------------------------------- */
struct dl_runtime {
    const char *name;
    uint32_t version[3];
    const struct dl_op *ops;
    size_t op_count;
    bool any_op; /* every operator of that version */
};
struct dl_description {
    const char *hardware_class, *arch, *keystore, *model_store;
    uint64_t memory, flash, arena; /* 0 for flash and arena: no limit */
    const struct dl_runtime *runtimes;
    size_t runtime_count;
};
/* How many reasons speak against it; `say` (may be NULL) hears each as one line. `fit`: record of a checked manifest. */
int dl_fit(const uint8_t *fit, const struct dl_description *device, void (*say)(void *ctx, const char *line),
           void *ctx);
/* First variant that fits. NO_VARIANT; COUNT if it has more payloads than this device handles; SLOT_SIZE is the caller's. */
int dl_variant_choose(const struct dl_manifest *manifest, const struct dl_description *device, struct dl_variant *variant,
                      void (*say)(void *ctx, const char *line), void *ctx);
int dl_variant_at(const struct dl_manifest *manifest, uint8_t index, struct dl_variant *variant);
/* The variant's operators, one by one: 1 while there is one, 0 at the end. `state` starts at 0. */
int dl_variant_next_op(const struct dl_variant *variant, size_t *state, struct dl_op *op);
/* The variant's tensors, in the runtime's order: 1, or 0 past the last. */
enum dl_dtype { DL_BOOL, DL_INT8, DL_UINT8, DL_INT16, DL_UINT16, DL_INT32, DL_UINT32, DL_INT64, DL_UINT64, DL_FLOAT16,
                DL_FLOAT32, DL_FLOAT64 }; /* order of the contract's list */
struct dl_tensor {
    struct dunlin_span name;
    uint8_t dtype, dimensions;
    int32_t shape[8]; /* -1: free */
};
int dl_variant_tensor(const struct dl_variant *variant, bool output, size_t index, struct dl_tensor *tensor);
/* Bytes of one item of a dtype; -1 for a name that is none. */
int dl_dtype_of(struct dunlin_span name);
uint32_t dl_dtype_size(uint8_t dtype);
/* Bytes of a slot that hold it, on flash with sectors of `sector` bytes (4096: the contract's slot formula). */
uint32_t dl_slot_bytes(const struct dl_variant *variant, uint32_t sector);

/* ---- grant, chunks, tree --------------------------------------------------------------------------------------------------- */
/* HPKE base mode, single shot, empty AAD. `spki`: of the KEM key. GRANT_OPEN. */
int dl_hpke_open(psa_key_id_t kem, const uint8_t spki[DUNLIN_SPKI], const uint8_t enc[DUNLIN_POINT],
                 struct dunlin_span info, struct dunlin_span sealed, uint8_t *plain);
/* Open with a KEM key of the store. GRANT_SHAPE, COSE_HEADER, GRANT_OPEN. */
int dl_grant_open(struct dunlin_span grant, psa_key_id_t kem, const uint8_t release[DUNLIN_DIGEST], const char *recipient,
                  uint8_t cek[DUNLIN_CEK]);
int dl_payload_key(const uint8_t cek[DUNLIN_CEK], const uint8_t id[DUNLIN_ID], uint8_t aead, uint8_t chunk_log2,
                   uint8_t key[32]);
/* Leaf first, then open into `plain` (chunk.size - 16 bytes). LEAF, CHUNK_OPEN. */
int dl_chunk_open(struct dunlin_span chunk, const uint8_t leaf[DUNLIN_DIGEST], const uint8_t key[32], uint32_t index,
                  bool last, uint8_t *plain);
/* Merkle root from leaves that arrive in order; RFC 9162. */
struct dl_tree {
    uint32_t count;
    uint8_t node[19][DUNLIN_DIGEST]; /* 2^18 leaves at most */
};
void dl_tree_start(struct dl_tree *tree);
int dl_tree_leaf(struct dl_tree *tree, const uint8_t leaf[DUNLIN_DIGEST]);
int dl_tree_root(struct dl_tree *tree, uint8_t root[DUNLIN_DIGEST]);

/* ---- settings, wipe orders ----------------------------------------------------------------------------------------------------- */
struct dl_settings { /* defaults where absent; in the order of their keys */
    uint32_t report_s, report_jitter_s, window, timeout_s, probation_s, probation_requests, probation_max_s, telemetry_s;
};
int dl_settings_open(struct dunlin_span record, struct dl_settings *settings);

struct dl_wipe_order {
    struct dunlin_span device;
    uint8_t id[DUNLIN_ID];
    uint8_t digest[DUNLIN_DIGEST];
    struct dunlin_span models; /* their names, items; empty: the whole device */
};
/* At least two distinct ops keys. dl_wipe_read(): of the payload alone. */
int dl_wipe_read(struct dunlin_span payload, struct dl_wipe_order *order);
int dl_wipe_open(struct dunlin_span envelope, const struct dl_root *root, struct dl_wipe_order *order);
/* DEVICE, WIPE_DESIRED. */
int dl_wipe_check(const struct dl_wipe_order *order, const char *device, const struct dl_directive *directive);
/* Whether the order covers `model`. */
bool dl_wipe_covers(const struct dl_wipe_order *order, const char *model);

/* ---- enrolment -------------------------------------------------------------------------------------------------------------- */
struct dl_claim {
    uint8_t root_digest[DUNLIN_DIGEST], token_id[8], secret[16];
};
int dl_claim_open(struct dunlin_span text, struct dl_claim *claim);
enum dl_enrol_status { DL_ENROL_ISSUED, DL_ENROL_PENDING, DL_ENROL_REFUSED };
struct dl_enrol_reply {
    uint8_t status;
    uint32_t poll_s;
    struct dunlin_span root;   /* envelope */
    struct dunlin_span reason; /* text */
};
int dl_enrol_reply_open(struct dunlin_span message, struct dl_enrol_reply *reply);

#ifdef __cplusplus
}
#endif
#endif
