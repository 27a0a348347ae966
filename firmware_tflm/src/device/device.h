/* What lies in struct dunlin, and who does what with it. One thread; each function named ..._step does one bounded piece
 * of work and says whether there was one.
 *
 *     dunlin.c      open, step, status          directive.c  offered messages: directive, ack, next root, settings
 *     enrol.c       claim, request, reply       fetch.c      what the gateway is asked for
 *     update.c      what is to be done          fill.c       filling a slot with a release
 *     serve.c       load, trial, inference      wipe.c       carrying out a wipe order
 *     events.c      numbered events             report.c     state for the server
 *     journal.c     records, time               transfer.c   the link                   */
#ifndef DL_DEVICE_H
#define DL_DEVICE_H

#include "contract/records.h"
#include "contract/verify.h"
#include "device/slot.h"
#include "device/store.h"
#include "device/transfer.h"
#include "device/update.h"
#include "dunlin/dunlin.h"
#include "infer/infer.h"

#define DL_MESSAGE_BYTES (DUNLIN_CHUNK + DUNLIN_TAG)
#define DL_EVENTS 12        /* kept until they are acknowledged */
#define DL_MISSING 4        /* objects named in a report */
#define DL_WHY 60

/* One copy of a helper, and calls: the compiler would rather copy it into each of its callers. */
#if defined __GNUC__
#define DL_CALLED __attribute__((noinline))
#else
#define DL_CALLED
#endif

enum dl_key { /* journal records; dl_store keys */
    DL_KEY_IDENTITY = 1,
    DL_KEY_CLAIM,
    DL_KEY_ROOT,     /* envelope of the root in force */
    DL_KEY_BOOTS,
    DL_KEY_FOLLOWED,
    DL_KEY_DESIRED,
    DL_KEY_SETTINGS, /* record as it came */
    DL_KEY_STATE,
    DL_KEY_STREAM,
    DL_KEY_WIPE,     /* order that is being carried out */
    DL_KEY_RECEIPT,  /* digest of the last order carried out, then the receipt's envelope */
    DL_KEY_ORDERS,   /* digests of the last orders carried out, the newest first */
    DL_KEY_EVENT = 16 /* and the DL_EVENTS - 1 behind it */
};

struct dl_identity {
    char device[DUNLIN_DEVICE + 1]; /* empty: nobody has named it yet */
    uint8_t enrolled;
    uint8_t kem; /* which of the port's two KEM keys is in use */
    uint8_t zero;
};
struct dl_claimed { /* while enrolment is underway */
    uint8_t root_digest[DUNLIN_DIGEST], token_id[8], secret[16];
    char device[DUNLIN_DEVICE + 1];
    uint8_t zero[3];
};
#define DL_FLOORS 4
struct dl_floor { /* of a model that was desired, here or not any more; 0 is not kept */
    uint32_t floor;
    char model[DUNLIN_NAME + 1];
    uint8_t zero[3];
};
struct dl_followed { /* of the last directive that was accepted */
    uint64_t seq, time_floor;
    uint32_t lived;     /* seconds that the device had run when this was written */
    uint32_t floor_at;  /* ... when the time floor was learned */
    uint32_t lease_at;  /* ... when the last directive was accepted */
    uint32_t epoch;
    uint8_t has_model, has_settings, has_next_root, lease_said;
    uint8_t digest[DUNLIN_DIGEST], settings[DUNLIN_DIGEST], next_root[DUNLIN_DIGEST];
    struct dl_floor floors[DL_FLOORS];
    char refused[DUNLIN_NAME + 1]; /* a second model that was desired */
    uint8_t zero[3];
};
struct dl_stream {
    uint8_t id[DUNLIN_ID];
    uint64_t last; /* number of the newest event */
};
struct dl_event_record {
    uint64_t n, time_s, uptime_s;
    int32_t code;
    uint8_t kind, has_release, zero[2];
    uint8_t release[DUNLIN_DIGEST];
    char model[DUNLIN_NAME + 1];
    char text[DL_WHY + 1];
    uint8_t pad[2];
};
struct dl_wipe { /* a journaled intent */
    uint8_t order[DUNLIN_DIGEST];
    uint8_t release[2][DUNLIN_DIGEST]; /* what lay in the slots */
    char model[DUNLIN_NAME + 1];       /* empty: no model is touched */
    uint8_t releases, whole, kem, erase; /* count; the whole device; key generation before; both slots are erased */
    uint8_t underway;
    uint8_t zero[2];
};
_Static_assert(sizeof(struct dl_identity) == 40, "journal record");
_Static_assert(sizeof(struct dl_claimed) == 96, "journal record");
_Static_assert(sizeof(struct dl_followed) == 328, "journal record");
_Static_assert(sizeof(struct dl_stream) == 24, "journal record");
_Static_assert(sizeof(struct dl_event_record) == 160, "journal record");
_Static_assert(sizeof(struct dl_wipe) == 136, "journal record");
_Static_assert(sizeof(struct dl_desired) == 404, "journal record");

enum dl_job { /* whose the running GET is */
    DL_JOB_NONE,
    DL_JOB_OFFER,
    DL_JOB_ROOT,
    DL_JOB_SETTINGS,
    DL_JOB_MANIFEST,
    DL_JOB_LEAVES,
    DL_JOB_CHUNK
};
enum dl_work_stage { /* of filling a slot */
    DL_WORK_NONE,
    DL_WORK_PLAN,   /* manifest wanted */
    DL_WORK_RESUME, /* what does the slot hold? */
    DL_WORK_ERASE,
    DL_WORK_LEAVES,
    DL_WORK_CHUNKS,
    DL_WORK_HASH
};
struct dl_work {
    uint8_t stage, payload, variant;
    uint8_t bad;          /* wrong bytes in a row from the gateway */
    uint8_t nones;        /* objects in a row that the gateway did not have */
    bool keyed;           /* `cek` is open */
    uint8_t key_payload;  /* payload that `key` belongs to; 0xff: none */
    uint32_t at, have;    /* sector, leaf, chunk or byte in hand; chunks there */
    uint32_t pause_until, missing_since; /* missing_since 0: nothing is missed */
    uint8_t cek[DUNLIN_CEK], key[32];
    struct dl_hash hash;
};

struct dl_device { /* the shortest first: a Cortex-M reaches 32 bytes, or 32 words, in two bytes of code */
    uint8_t job, job_kind;           /* enum dl_job; kind of the offer */
    uint8_t message_stage;           /* 0: no offered message is in `message` */
    uint8_t message_kind;
    uint8_t wipe_stage;
    uint8_t refusals;                /* in the running minute */
    uint8_t missing_count, named_misses; /* objects in `missing`; how often in a row a named one was not there */
    uint8_t loaded;                  /* slot in the interpreter, or DL_NO_SLOT */
    uint8_t checked;                 /* bit per slot: its SHA-256 held since boot */
    bool walking;                    /* a directive that was refused names walk_root */
    bool wipe_failed;                /* a sector of the slots could not be erased */
    bool serve_again;                /* some time after crypto_ms */
    bool clock_said, wipe_stuck, settings_due, report_due, trial_failed;
    uint16_t receipts;               /* bit per place of an event: not to be dropped */
    struct dunlin_port port;
    unsigned todo;                   /* DL_DO_... that are left */
    uint32_t now_ms;                 /* milliseconds that wrap */
    uint32_t lived, uptime_s;        /* seconds that the device has run: over all boots (see DL_BOOT_S), since boot */
    uint32_t lived_kept;             /* ... when it was journaled */
    uint32_t still;                  /* steps since the clock moved */
    uint32_t boots, reports;
    uint32_t report_at_ms, report_last_ms, events_due_ms, enrol_at_ms, refused_ms, trial_from_s;
    uint32_t event_sent, event_sending;
    uint32_t erase_at;               /* in both slots together */
    uint32_t job_seen;               /* bytes whose digest was looked at */
    uint32_t served, trial_served;
    uint32_t named_at_ms;            /* when the next root, or the settings, are asked for again */
    uint32_t crypto_ms;              /* when the crypto library kept the serving slot from being loaded */
    int32_t message_wipe;            /* what came of the wipe order: 0 carry out, -1 none, else why not */
    int32_t walk_code;               /* why the directive was refused that names walk_root */
    int32_t refused_code;            /* last refusal that became an event: a gateway may repeat bad input for ever */

    uint64_t clock_ms, second_ms;    /* what the board said; when the running second began */
    struct dl_work work;
    struct dl_state state;
    struct dl_settings settings;
    struct dl_slot slot;
    struct dl_identity identity;
    struct dl_followed followed;
    struct dl_stream stream;
    struct dl_store store;
    struct dunlin_config config;
    struct dl_desired desired;
    struct dl_variant variant;
    struct dl_wipe wipe;             /* `underway`: an order is being carried out */
    struct dl_claimed claim;         /* with a name: the request is on its way, or was answered with "pending" */
    struct dl_runtime runtime;
    struct dl_event_record fault;    /* the one event of a device whose journal fails; n 0: none */
    uint8_t fault_stream[DUNLIN_ID];
    uint8_t root_name[DUNLIN_DIGEST], bad_root[DUNLIN_DIGEST], walk_root[DUNLIN_DIGEST];
    uint8_t walk_offer[DL_LINK_PREFIX]; /* that directive's name: it waits for the root */
    uint8_t missing[DL_MISSING][DUNLIN_DIGEST];
    uint32_t event_n[DL_EVENTS];     /* low bits of the number in each place; 0: free */
    char why[DL_WHY + 1];            /* text of the next event */
    uint32_t arena_used, input_count, output_count, input_bytes[DUNLIN_TENSORS]; /* of the loaded model */
    struct dunlin_self_test self_test;

    struct dl_transfer link;         /* ends with a buffer */
    union {
        uint8_t plain[DUNLIN_CHUNK];
        struct dl_directive directive; /* while a message is taken apart: no slot is being filled then */
        struct dl_manifest manifest;
        struct dl_tree tree;
    } scratch;
    uint8_t message[DL_MESSAGE_BYTES]; /* from the link: an offered message, an object, a chunk */
};

/* The watchdog: each step begins with one. */
static inline void dl_kick(const struct dl_device *d)
{
    d->port.board->kick(d->port.board->ctx);
}

/* ---- journal.c ------------------------------------------------------------------------------------------------- */
void dl_journal_load(struct dl_device *d);
/* Put a record: of given bytes; as it stands in the device; or take it away. A failure becomes the one event that a
 * device without a journal can tell, and from then on nothing more is written, followed or begun. */
int dl_journal(struct dl_device *d, uint16_t key, const void *data, size_t size, bool more);
int dl_save(struct dl_device *d, uint16_t key, bool more);
int dl_drop(struct dl_device *d, uint16_t key, bool more);
/* A boot counts as a minute more of running time, which is journaled when it has doubled since boot, then by the hour: a
 * device whose power is cut often grows older by at least half of the time that it runs. */
#define DL_BOOT_S 60
bool dl_clock_step(struct dl_device *d);
void dl_log(const struct dl_device *d, const char *what, int code);
int dl_root_in_force(const struct dl_device *d, struct dl_root *root);
uint64_t dl_wall_clock(const struct dl_device *d); /* unix time, 0 if there is no clock; only ever reported */

/* ---- keys.c ---------------------------------------------------------------------------------------------------- */
bool dl_key_there(psa_key_id_t key);
int dl_key_make(psa_key_id_t key, bool signs); /* ENTROPY, KEYSTORE */
psa_key_id_t dl_kem_key(const struct dl_device *d);

/* ---- events.c -------------------------------------------------------------------------------------------------- */
/* Journal an event; `more`: a transaction goes on. `release` may be NULL; the text is `why`, which is then empty. */
int dl_event(struct dl_device *d, int kind, int code, const uint8_t *release, bool more);
/* A part of the device does not work. */
void dl_fault(struct dl_device *d, int code);
/* An event about bad input, unless there were too many, or it is like the last one: a gateway may repeat it for ever. */
void dl_refusal(struct dl_device *d, int kind, int code);
void dl_events_load(struct dl_device *d);
void dl_events_acked(struct dl_device *d, const uint8_t stream[DUNLIN_ID], uint64_t n);
void dl_events_again(struct dl_device *d);
bool dl_events_step(struct dl_device *d);

/* ---- report.c -------------------------------------------------------------------------------------------------- */
struct dl_description dl_describe(const struct dl_device *d);
bool dl_report_step(struct dl_device *d);

/* ---- directive.c, enrol.c -------------------------------------------------------------------------------------- */
bool dl_message_step(struct dl_device *d); /* an offered message that has arrived */
void dl_root_arrived(struct dl_device *d, struct dunlin_span envelope);
void dl_settings_arrived(struct dl_device *d, struct dunlin_span record);
void dl_settings_load(struct dl_device *d);
bool dl_enrol_step(struct dl_device *d);
void dl_claim_arrived(struct dl_device *d, struct dunlin_span message);
void dl_enrol_reply_arrived(struct dl_device *d, struct dunlin_span message);
int dl_claim_forget(struct dl_device *d);

/* ---- fetch.c, fill.c, serve.c, wipe.c -------------------------------------------------------------------------- */
/* Give the update machine an event: journal what it says, and note what is to be done. */
void dl_reconcile(struct dl_device *d); /* what is desired, to the machine */
void dl_feed(struct dl_device *d, enum dl_update_event event, const uint8_t *release, int code);
bool dl_fetch_step(struct dl_device *d);
/* Ask for bytes of an object, into `message`; and for none before some seconds have passed. */
void dl_ask(struct dl_device *d, uint8_t job, const uint8_t *name, uint32_t offset, uint32_t length);
void dl_pause(struct dl_device *d);
void dl_fill_stage(struct dl_device *d, uint8_t next, uint32_t at);
void dl_fill_stop(struct dl_device *d);
bool dl_fill_step(struct dl_device *d);
void dl_fill_arrived(struct dl_device *d, uint8_t job, struct dunlin_span bytes);
bool dl_erase_step(struct dl_device *d);
/* The next sector of those slots whose bit is set in `slots`, in both from erase_at 0 on: AGAIN, 0 at the end, FLASH. */
int dl_erase_some(struct dl_device *d, uint8_t slots);
/* Open what lies in a slot: slot, variant and scratch manifest of the device are then that slot's. INSTALLED: nothing
 * usable. CRYPTO: it could not be looked at. */
int dl_slot_open(struct dl_device *d, uint8_t slot);
bool dl_serve_step(struct dl_device *d); /* load, test, probation */
/* 4 KiB of a slot's payloads against their SHA-256: AGAIN, 0, INSTALLED. work.payload and work.at say where. */
int dl_hash_step(struct dl_device *d);
void dl_hash_begin(struct dl_device *d);
void dl_unload(struct dl_device *d);

bool dl_wipe_step(struct dl_device *d);
/* Fill in an intent for a verified order. */
void dl_wipe_prepare(struct dl_device *d, const struct dl_wipe_order *order);
/* The same order again: the stored receipt again. False: it was not carried out yet. */
bool dl_wipe_repeated(struct dl_device *d, const uint8_t order[DUNLIN_DIGEST]);

#endif
