/* Every way in which something is refused or fails. What an application calls returns 0, or a
 * code of this list with a minus in front. Within the core they stay positive: small numbers, which a Cortex-M has in two
 * bytes where it needs six for others.
 *
 * The first part mirrors the contract's rules (contract/SPEC.md, section 14), name by name: dunlin_reason() gives the
 * rule's name, which is what events carry and what contract/vectors expect. The second part is the device's own. */
#ifndef DUNLIN_ERROR_H
#define DUNLIN_ERROR_H

#define DUNLIN_REASONS(X)                                                                                             \
    /* contract: encoding */                                                                                          \
    X(SIZE, "size") X(ENCODING, "encoding") X(CANONICAL, "canonical")                                                 \
    /* contract: closed schema */                                                                                     \
    X(TYPE, "type") X(FIELD_MISSING, "field-missing") X(FIELD_UNKNOWN, "field-unknown") X(RANGE, "range")             \
    X(COUNT, "count") X(VALUE, "value") X(VERSION, "version") X(ORDER, "order")                                       \
    /* contract: signatures */                                                                                        \
    X(COSE_SHAPE, "cose-shape") X(COSE_HEADER, "cose-header") X(SIGNATURE, "signature")                               \
    X(SIGNER_UNKNOWN, "signer-unknown") X(THRESHOLD, "threshold")                                                     \
    /* contract: manifest */                                                                                          \
    X(PAYLOAD_INDEX, "payload-index") X(PAYLOAD_ROLE, "payload-role") X(PAYLOAD_LENGTH, "payload-length")             \
    X(PAYLOAD_ID, "payload-id") X(VARIANT_KIND, "variant-kind") X(MODEL_MISSING, "model-missing")                     \
    X(MANIFEST_TIME, "manifest-time") X(TFLM_PAYLOAD, "tflm-payload")                                                 \
    /* contract: bundle file and chunks */                                                                            \
    X(MAGIC, "magic") X(HEADER, "header") X(LENGTHS, "lengths") X(TRAILING, "trailing") X(MERKLE, "merkle")           \
    X(LEAF, "leaf") X(CHUNK_OPEN, "chunk-open") X(INSTALLED, "installed")                                             \
    /* contract: grant, root, directive, wipe, results, drift, enrolment, topics, link */                             \
    X(GRANT_SHAPE, "grant-shape") X(GRANT_OPEN, "grant-open") X(ROOT_ROLE, "root-role") X(ROOT_KEY, "root-key")       \
    X(ROOT_VERSION, "root-version") X(ROOT_EPOCH, "root-epoch") X(DEVICE, "device") X(EPOCH, "epoch")                 \
    X(SEQUENCE, "sequence") X(EQUIVOCATION, "equivocation") X(FRESHNESS, "freshness")                                 \
    X(DIRECTIVE_TIME, "directive-time") X(RELEASE, "release") X(FLOOR, "floor") X(TRIAL, "trial")                     \
    X(WIPE_DESIRED, "wipe-desired") X(RESULT_KIND, "result-kind") X(BASELINE, "baseline")                             \
    X(CLAIM_TOKEN, "claim-token") X(REPLY_STATUS, "reply-status") X(TOPIC, "topic") X(FRAME, "frame")                 \
    /* the device's own */                                                                                            \
    X(NO_VARIANT, "no-variant")       /* no variant of the release fits this device */                                \
    X(NO_SLOT, "no-slot")             /* a second model is desired; this device holds one */                          \
    X(SLOT_SIZE, "slot-size")         /* the payloads do not fit into a slot */                                       \
    X(FLASH, "flash")                 /* an erase or write failed, or reads back otherwise */                         \
    X(FLASH_LAYOUT, "flash-layout")   /* the port's flash regions overlap, or are not whole sectors */                \
    X(ENTROPY, "entropy")             /* the random generator gives nothing */                                        \
    X(CLOCK, "clock")                 /* the clock stands still or runs backwards */                                  \
    X(KEYSTORE, "keystore")           /* the PSA key store refuses, or a key is gone */                               \
    X(CRYPTO, "crypto")               /* the crypto library failed for want of memory or support */                   \
    X(ARENA, "arena")                 /* the model wants more arena than the firmware has */                          \
    X(OPERATOR, "operator")           /* the model wants an operator that the firmware does not hold */               \
    X(MODEL, "model")                 /* the model does not load, or its tensors are not those of the manifest */     \
    X(INVOKE, "invoke")               /* the interpreter failed */                                                    \
    X(SELF_TEST, "self-test")         /* golden outputs differ by more than the signed tolerance */                   \
    X(NO_RUNTIME, "no-runtime")       /* built without TensorFlow Lite Micro */                                       \
    X(NO_MODEL, "no-model")           /* nothing serves */                                                            \
    X(LEASE, "lease")                 /* the lease ran out, and says stop */                                          \
    X(RESTARTED, "restarted")         /* the trial's boots are used up */                                             \
    X(NOT_ENROLLED, "not-enrolled") X(ENROLLED, "enrolled") X(AGAIN, "again") /* not yet: call again */               \
    X(FULL, "full")                   /* no room left in a store or buffer */                                         \
    X(ARGUMENT, "argument")           /* the caller broke a function's rules */

enum {
    DUNLIN_OK,
#define DUNLIN_X_(name, text) DUNLIN_E_##name,
    DUNLIN_REASONS(DUNLIN_X_)
#undef DUNLIN_X_
    DUNLIN_E_END_
};

/* Name of a code, with or without its minus: a rule of the contract, or a reason of the device's own. Never NULL. */
const char *dunlin_reason(int code);

#endif
