#include "device/update.h"

#include <string.h>

#include "contract/records.h"

#define ANY_PHASE 0xff

bool dl_is_zero(const uint8_t digest[DUNLIN_DIGEST])
{
    static const uint8_t zero[DUNLIN_DIGEST];

    return dl_same_digest(digest, zero);
}

bool dl_same_digest(const uint8_t a[DUNLIN_DIGEST], const uint8_t b[DUNLIN_DIGEST])
{
    return memcmp(a, b, DUNLIN_DIGEST) == 0;
}

void dl_copy_digest(uint8_t to[DUNLIN_DIGEST], const uint8_t from[DUNLIN_DIGEST])
{
    memcpy(to, from, DUNLIN_DIGEST);
}

void dl_state_init(struct dl_state *s)
{
    memset(s, 0, sizeof *s);
    s->phase = DUNLIN_IDLE;
    s->serving = s->trial = DL_NO_SLOT;
}

uint8_t dl_spare(const struct dl_state *s)
{
    return s->serving == 0;
}

static bool has(uint8_t bits, uint8_t slot)
{
    return slot != DL_NO_SLOT && bits >> slot & 1;
}

static uint8_t bit(uint8_t slot)
{
    return (uint8_t)(1u << slot);
}

static void drop(struct dl_state *s, uint8_t slot)
{
    s->whole &= (uint8_t)~bit(slot);
    s->committed &= (uint8_t)~bit(slot);
}

static bool underway(const struct dl_state *s)
{
    return s->phase >= DUNLIN_PLANNED && s->phase <= DUNLIN_PROBATION;
}

static bool on_trial(const struct dl_state *s)
{
    return s->phase >= DUNLIN_STAGED && s->phase <= DUNLIN_PROBATION;
}

static unsigned say(struct dl_note *note, int kind, int code)
{
    note->kind = (int16_t)kind;
    note->code = code;
    return DL_DO_JOURNAL;
}

/* What brings the release back that served before the candidate was loaded. */
static unsigned back(const struct dl_state *s)
{
    if (!on_trial(s))
        return DL_DO_STOP;
    return s->serving == DL_NO_SLOT ? DL_DO_UNLOAD : DL_DO_SERVE;
}

static unsigned give_up(struct dl_state *s, int code, struct dl_note *note)
{
    bool served = s->phase == DUNLIN_PROBATION || code == DUNLIN_E_RESTARTED;
    unsigned effects = back(s);

    s->phase = served ? DUNLIN_ROLLED_BACK : DUNLIN_REFUSED;
    s->trial = DL_NO_SLOT;
    s->tries = 0;
    s->error = code;
    dl_copy_digest(s->failed, s->desired);
    return effects | say(note, served ? DL_EVENT_UPDATE_ROLLED_BACK : DL_EVENT_UPDATE_REFUSED, code);
}

static unsigned plan(struct dl_state *s)
{
    s->phase = DUNLIN_PLANNED;
    s->trial = DL_NO_SLOT;
    return DL_DO_JOURNAL | DL_DO_PLAN;
}

static void renew(struct dl_state *s)
{
    s->error = 0;
    s->tries = s->repairs = 0;
    memset(s->failed, 0, DUNLIN_DIGEST);
}

/* Towards the desired release: from the other slot if it is all there, else from its manifest. */
static unsigned begin(struct dl_state *s)
{
    uint8_t spare = dl_spare(s);

    renew(s);
    if (!has(s->whole, spare) || !dl_same_digest(s->release[spare], s->desired))
        return plan(s);
    s->trial = spare;
    s->phase = DUNLIN_VERIFIED;
    return DL_DO_JOURNAL | DL_DO_STAGE;
}

static unsigned commit(struct dl_state *s, struct dl_note *note)
{
    s->phase = DUNLIN_COMMITTED;
    s->serving = s->trial;
    s->committed |= bit(s->trial);
    s->trial = DL_NO_SLOT;
    s->tries = 0;
    s->error = 0;
    return say(note, DL_EVENT_UPDATE_COMMITTED, 0);
}

/* Refusals that were this device's state, not the release's fault: worth another try after a restart. */
static bool retried(int code)
{
    return code == DUNLIN_E_FLASH || code == DUNLIN_E_ENTROPY || code == DUNLIN_E_KEYSTORE || code == DUNLIN_E_CRYPTO ||
           code == DUNLIN_E_NO_VARIANT || code == DUNLIN_E_NO_RUNTIME;
}

/* Refusals that were the directive's fault: another one for the same release may do. After a wipe, which changes the KEM
 * key, the old grant opens nothing and the server sends a new one. */
static bool directed(int code)
{
    return code == DUNLIN_E_GRANT_OPEN || code == DUNLIN_E_GRANT_SHAPE || code == DUNLIN_E_FLOOR ||
           code == DUNLIN_E_RELEASE || code == DUNLIN_E_LENGTHS || code == DUNLIN_E_COUNT;
}

static unsigned on_boot(struct dl_state *s, struct dl_note *note)
{
    unsigned effects = s->serving == DL_NO_SLOT ? 0 : DL_DO_SERVE;

    if (s->erase)
        effects |= DL_DO_ERASE;
    if (on_trial(s)) {
        if (s->tries >= DL_TRIES)
            return effects | give_up(s, DUNLIN_E_RESTARTED, note);
        s->tries++;
        s->phase = DUNLIN_STAGED;
        return DL_DO_JOURNAL | DL_DO_LOAD | (effects & DL_DO_ERASE);
    }
    if (s->phase == DUNLIN_VERIFIED)
        effects |= DL_DO_STAGE;
    else if (s->phase == DUNLIN_DOWNLOADING)
        effects |= DL_DO_DOWNLOAD;
    else if (s->phase == DUNLIN_PLANNED)
        effects |= DL_DO_PLAN;
    else if (s->phase == DUNLIN_REFUSED && retried(s->error))
        effects |= begin(s);
    return effects;
}

static unsigned on_desired(struct dl_state *s, const uint8_t *release, struct dl_note *note)
{
    bool again = dl_same_digest(s->desired, release);
    bool serves = s->serving != DL_NO_SLOT && dl_same_digest(s->release[s->serving], release);
    unsigned ended;

    if (again && (underway(s) || dl_same_digest(s->failed, release) || (serves && s->phase == DUNLIN_COMMITTED)))
        return 0;
    ended = underway(s) ? back(s) : 0;
    dl_copy_digest(s->desired, release);
    s->trial = DL_NO_SLOT;
    if (!serves)
        return ended | begin(s);
    s->phase = DUNLIN_COMMITTED;
    renew(s);
    return ended | say(note, DL_EVENT_UPDATE_COMMITTED, 0);
}

static unsigned gone(struct dl_state *s)
{
    uint8_t slot, erase = s->erase;

    for (slot = 0; slot < 2; slot++)
        if (!dl_is_zero(s->release[slot]))
            erase |= bit(slot);
    dl_state_init(s);
    s->erase = erase;
    return DL_DO_JOURNAL | DL_DO_STOP | DL_DO_UNLOAD | (erase ? DL_DO_ERASE : 0);
}

static unsigned on_planned(struct dl_state *s, struct dl_note *note)
{
    uint8_t slot = dl_spare(s);

    s->phase = DUNLIN_DOWNLOADING;
    s->trial = slot;
    s->erase &= (uint8_t)~bit(slot); /* the download erases what it needs */
    drop(s, slot);
    dl_copy_digest(s->release[slot], s->desired);
    return DL_DO_DOWNLOAD | say(note, DL_EVENT_UPDATE_PLANNED, 0);
}

static unsigned on_damaged(struct dl_state *s, int code, struct dl_note *note)
{
    unsigned effects;

    if (!underway(s) || s->trial == DL_NO_SLOT)
        return 0;
    drop(s, s->trial);
    if (s->repairs >= DL_REPAIRS)
        return give_up(s, code, note);
    s->repairs++;
    s->tries = 0;
    effects = back(s) | say(note, DL_EVENT_OBJECT_CORRUPT, code);
    return effects | plan(s);
}

static unsigned on_serving_damaged(struct dl_state *s, int code, struct dl_note *note)
{
    unsigned effects = DL_DO_UNLOAD | say(note, DL_EVENT_OBJECT_CORRUPT, code);
    uint8_t bad = s->serving, other = (uint8_t)(bad ^ 1);

    note->served = true;
    drop(s, bad);
    s->serving = DL_NO_SLOT;
    if (other != s->trial && has(s->whole & s->committed, other)) {
        s->serving = other;
        effects = DL_DO_JOURNAL | DL_DO_SERVE;
    }
    /* A candidate underway is about to replace it. */
    if (underway(s) || dl_is_zero(s->desired) || dl_same_digest(s->failed, s->desired))
        return effects;
    if (s->serving != DL_NO_SLOT && dl_same_digest(s->release[s->serving], s->desired))
        return effects;
    s->repairs = 1;
    return effects | plan(s);
}

/* The phase in which an event may come; others may come in any. */
static uint8_t phase_of(enum dl_update_event event)
{
    switch (event) {
    case DL_ON_PLANNED:
        return DUNLIN_PLANNED;
    case DL_ON_REPLAN:
    case DL_ON_DOWNLOADED:
        return DUNLIN_DOWNLOADING;
    case DL_ON_STAGED:
        return DUNLIN_VERIFIED;
    case DL_ON_LOADED:
        return DUNLIN_STAGED;
    case DL_ON_TESTING:
        return DUNLIN_LOADED;
    case DL_ON_TEST_PASSED:
        return DUNLIN_TESTING;
    case DL_ON_PROBATION_PASSED:
        return DUNLIN_PROBATION;
    default:
        return ANY_PHASE;
    }
}

unsigned dl_update(struct dl_state *s, enum dl_update_event event, const uint8_t *release, int code,
                   struct dl_note *note)
{
    uint8_t phase = phase_of(event);

    memset(note, 0, sizeof *note);
    note->kind = -1;
    if (phase != ANY_PHASE && phase != s->phase)
        return 0;
    switch (event) {
    case DL_ON_BOOT:
        return on_boot(s, note);
    case DL_ON_DESIRED:
        return on_desired(s, release, note);
    case DL_ON_DIRECTED:
        return s->phase == DUNLIN_REFUSED && directed(s->error) ? begin(s) : 0;
    case DL_ON_UNDESIRED:
        if (dl_is_zero(s->desired) && s->serving == DL_NO_SLOT)
            return 0;
        note->served = true;
        (void)say(note, DL_EVENT_MODEL_REMOVED, 0);
        return gone(s);
    case DL_ON_WIPED:
        return gone(s);
    case DL_ON_PLANNED:
        return on_planned(s, note);
    case DL_ON_REPLAN:
        return plan(s);
    case DL_ON_DOWNLOADED:
        s->whole |= bit(s->trial);
        s->phase = DUNLIN_VERIFIED;
        return DL_DO_JOURNAL | DL_DO_STAGE;
    case DL_ON_STAGED:
        s->tries = 1;
        s->phase = DUNLIN_STAGED;
        return DL_DO_JOURNAL | DL_DO_LOAD;
    case DL_ON_LOADED:
        s->phase = DUNLIN_LOADED;
        return DL_DO_TEST;
    case DL_ON_TESTING:
        s->phase = DUNLIN_TESTING;
        return 0;
    case DL_ON_TEST_PASSED:
        if (has(s->committed, s->trial))
            return commit(s, note); /* it came through a probation here before: going back to it is one local switch */
        s->phase = DUNLIN_PROBATION;
        return say(note, DL_EVENT_UPDATE_PROBATION, 0);
    case DL_ON_FAILED:
        return underway(s) ? give_up(s, code, note) : 0;
    case DL_ON_DAMAGED:
        return on_damaged(s, code, note);
    case DL_ON_PROBATION_PASSED:
        return commit(s, note);
    case DL_ON_SERVING_DAMAGED:
        return s->serving == DL_NO_SLOT ? 0 : on_serving_damaged(s, code, note);
    case DL_ON_ERASED:
        s->erase = 0;
        return DL_DO_JOURNAL;
    }
    return 0;
}
