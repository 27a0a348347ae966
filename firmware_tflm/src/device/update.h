/* The update machine: what the two slots hold, which of them serves, and how far the way to the desired release is.
 * Pure: (state, event) -> (state, effects). Whoever feeds it journals the state together with the note, and then acts.
 *
 *   idle -> planned -> downloading -> verified -> staged -> loaded -> testing -> probation -> committed
 *                                                   |________________________________|
 *                                                       a boot in here is one try
 *
 * Out of it: refused (before probation) or rolled-back (in it, or after three tries); the slot that served before serves.
 *
 * Two promises, for every sequence of events: what serves was verified whole and passed its self-test here; and once
 * something was committed, it or a tested candidate serves, as long as its bytes are right and it is desired. */
#ifndef DL_UPDATE_H
#define DL_UPDATE_H

#include <stdbool.h>

#include "dunlin/dunlin.h"

#define DL_NO_SLOT 0xff
#define DL_TRIES 3   /* boots that a candidate may take until it is confirmed */
#define DL_REPAIRS 2 /* how often damaged bytes of one candidate are fetched again */

struct dl_state { /* a journal record */
    uint8_t phase;     /* enum dunlin_phase */
    uint8_t serving;   /* slot of the release that is known to be good, or DL_NO_SLOT */
    uint8_t trial;     /* slot of the candidate, or DL_NO_SLOT */
    uint8_t tries;     /* boots of this trial */
    uint8_t repairs;
    uint8_t whole;     /* bit per slot: every payload is there and has its SHA-256 */
    uint8_t committed; /* bit per slot: came through a probation on this device */
    uint8_t erase;     /* bit per slot: to be erased, since what lies there is not wanted any more */
    int32_t error;     /* why the last update ended; 0: it did well */
    uint8_t release[2][DUNLIN_DIGEST]; /* what the slots hold, or are being filled with */
    uint8_t desired[DUNLIN_DIGEST];    /* zero: none */
    uint8_t failed[DUNLIN_DIGEST];     /* was given up: not tried again until something else is desired */
};
_Static_assert(sizeof(struct dl_state) == 12 + 4 * DUNLIN_DIGEST, "journal record");

enum dl_update_event {
    DL_ON_BOOT,
    DL_ON_DESIRED,          /* release */
    DL_ON_DIRECTED,         /* another floor, grant or list of objects for the desired release */
    DL_ON_UNDESIRED,
    DL_ON_PLANNED,          /* the manifest is right and fits */
    DL_ON_REPLAN,           /* the slot does not hold what a download goes on from */
    DL_ON_DOWNLOADED,       /* all chunks are there, and every payload has its SHA-256 */
    DL_ON_STAGED,
    DL_ON_LOADED,
    DL_ON_TESTING,
    DL_ON_TEST_PASSED,
    DL_ON_FAILED,           /* code: planning, download, trial or probation failed for good */
    DL_ON_DAMAGED,          /* code: the candidate's bytes are not what was signed */
    DL_ON_PROBATION_PASSED,
    DL_ON_SERVING_DAMAGED,  /* code: the same for the serving slot */
    DL_ON_ERASED,           /* every slot of `erase` is blank */
    DL_ON_WIPED
};

enum { /* effects, in the order in which they are to be done */
    DL_DO_JOURNAL = 1,  /* write the state, with the note, in one transaction, before anything else */
    DL_DO_STOP = 2,     /* give up fetching */
    DL_DO_UNLOAD = 4,   /* nothing serves */
    DL_DO_SERVE = 8,    /* load the serving slot */
    DL_DO_PLAN = 16,    /* fetch and judge the manifest of the desired release */
    DL_DO_DOWNLOAD = 32,/* fill the trial slot */
    DL_DO_STAGE = 64,   /* then tell DL_ON_STAGED */
    DL_DO_LOAD = 128,   /* load the trial slot */
    DL_DO_TEST = 256,
    DL_DO_ERASE = 512   /* the slots of `erase` */
};

struct dl_note { /* an event to journal with the state */
    int16_t kind; /* enum dl_event_kind, or -1: none */
    bool served;  /* about the release that served before, not the one that is desired now */
    int32_t code;
};

/* Effects. `release` for DL_ON_DESIRED only, `code` where an event has one. */
unsigned dl_update(struct dl_state *state, enum dl_update_event event, const uint8_t *release, int code,
                   struct dl_note *note);
void dl_state_init(struct dl_state *state);

/* The slot that a new candidate goes to. */
uint8_t dl_spare(const struct dl_state *state);
bool dl_is_zero(const uint8_t digest[DUNLIN_DIGEST]);
bool dl_same_digest(const uint8_t a[DUNLIN_DIGEST], const uint8_t b[DUNLIN_DIGEST]);
void dl_copy_digest(uint8_t to[DUNLIN_DIGEST], const uint8_t from[DUNLIN_DIGEST]);

#endif
