/* The update machine, walked through every state that events can lead to from a blank device. */
#include <string.h>

#include "check.h"
#include "contract/records.h"
#include "device/update.h"

enum { STATES = 200000, RELEASES = 3, EVENTS = DL_ON_WIPED + 1 };

/* Beside the state: what an executor would have, so that only possible events are fed. */
struct node {
    struct dl_state state;
    uint8_t loaded;  /* slot that answers requests, or DL_NO_SLOT */
    uint8_t tested;  /* bit per slot: what is in it passed its self-test */
    uint8_t was_committed; /* something was, and neither removed, wiped nor damaged since */
    unsigned todo;
};

static struct node nodes[STATES];
static unsigned count;
static uint32_t table[1 << 19];

static uint32_t hash_of(const struct node *node)
{
    const uint8_t *byte = (const uint8_t *)node;
    uint32_t hash = 2166136261u;
    size_t i;

    for (i = 0; i < sizeof *node; i++)
        hash = (hash ^ byte[i]) * 16777619u;
    return hash;
}

static void add(const struct node *node)
{
    uint32_t place = hash_of(node) & (sizeof table / sizeof table[0] - 1);

    while (table[place]) {
        if (memcmp(&nodes[table[place] - 1], node, sizeof *node) == 0)
            return;
        place = (place + 1) & (sizeof table / sizeof table[0] - 1);
    }
    CHECK(count < STATES);
    nodes[count++] = *node;
    table[place] = count;
}

static bool has(uint8_t bits, uint8_t slot) { return slot != DL_NO_SLOT && bits >> slot & 1; }

/* Which events can come: those that the effects asked for, and those from outside. */
static bool possible(const struct node *n, unsigned event)
{
    const struct dl_state *s = &n->state;
    bool underway = s->phase >= DUNLIN_PLANNED && s->phase <= DUNLIN_PROBATION;
    bool outside = event == DL_ON_BOOT || event == DL_ON_DESIRED || event == DL_ON_DIRECTED || event == DL_ON_UNDESIRED ||
                   event == DL_ON_WIPED || event == DL_ON_SERVING_DAMAGED;

    if (!outside && (n->todo & (DL_DO_SERVE | DL_DO_UNLOAD)))
        return false; /* loading comes before fetching */
    switch (event) {
    case DL_ON_PLANNED: return s->phase == DUNLIN_PLANNED;
    case DL_ON_REPLAN:
    case DL_ON_DOWNLOADED: return s->phase == DUNLIN_DOWNLOADING;
    case DL_ON_STAGED: return s->phase == DUNLIN_VERIFIED;
    case DL_ON_LOADED: return s->phase == DUNLIN_STAGED;
    case DL_ON_TESTING: return s->phase == DUNLIN_LOADED;
    case DL_ON_TEST_PASSED: return s->phase == DUNLIN_TESTING;
    case DL_ON_PROBATION_PASSED: return s->phase == DUNLIN_PROBATION;
    case DL_ON_FAILED: return underway;
    case DL_ON_DAMAGED: return underway && s->trial != DL_NO_SLOT;
    case DL_ON_SERVING_DAMAGED: return s->serving != DL_NO_SLOT && (n->todo & DL_DO_SERVE);
    case DL_ON_ERASED: return s->erase != 0;
    default: return true;
    }
}

static void promises(const struct node *before, const struct node *n, unsigned event)
{
    const struct dl_state *s = &n->state;

    CHECK(s->phase <= DUNLIN_REFUSED && s->tries <= DL_TRIES && s->repairs <= DL_REPAIRS);
    CHECK(s->serving == DL_NO_SLOT || s->serving < 2);
    CHECK(s->trial == DL_NO_SLOT || (s->trial < 2 && s->trial != s->serving));
    /* What serves was whole, and passed its test; so did what answers requests. */
    CHECK(s->serving == DL_NO_SLOT || (has(s->whole, s->serving) && has(s->committed, s->serving)));
    CHECK(n->loaded == DL_NO_SLOT || has(n->tested, n->loaded) || (n->todo & (DL_DO_SERVE | DL_DO_UNLOAD)));
    CHECK(n->loaded == DL_NO_SLOT || n->loaded == s->serving || (n->loaded == s->trial && s->phase == DUNLIN_PROBATION) ||
          (n->todo & (DL_DO_SERVE | DL_DO_UNLOAD | DL_DO_LOAD)));
    /* Once something was committed, something good is there, until it is removed, wiped or damaged. */
    if (n->was_committed)
        CHECK(s->serving != DL_NO_SLOT);
    /* The slot that serves is never filled. */
    if (s->phase == DUNLIN_DOWNLOADING)
        CHECK(s->trial != DL_NO_SLOT && s->trial != s->serving && !has(s->whole, s->trial));
    /* A trial is counted before it is loaded. */
    if (n->todo & DL_DO_LOAD)
        CHECK(s->tries >= 1 && s->phase == DUNLIN_STAGED);
    if (s->phase == DUNLIN_REFUSED || s->phase == DUNLIN_ROLLED_BACK)
        CHECK(s->error != 0 && memcmp(s->failed, s->desired, DUNLIN_DIGEST) == 0);
    if (s->phase == DUNLIN_COMMITTED && event != DL_ON_SERVING_DAMAGED && before->state.phase != DUNLIN_COMMITTED)
        CHECK(s->serving != DL_NO_SLOT && memcmp(s->release[s->serving], s->desired, DUNLIN_DIGEST) == 0);
}

static void follow(const struct node *from, unsigned event, const uint8_t *release)
{
    struct node n = *from;
    struct dl_note note;
    unsigned effects;

    if (event == DL_ON_BOOT) { /* what was not journaled is gone, and so is what was loaded */
        n.loaded = DL_NO_SLOT;
        n.todo = 0;
    }
    if (event == DL_ON_TEST_PASSED) {
        n.loaded = n.state.trial;
        n.tested |= (uint8_t)(1u << n.state.trial);
    }
    effects = dl_update(&n.state, (enum dl_update_event)event, release, DUNLIN_E_INVOKE, &note);
    if (memcmp(&n.state, &from->state, sizeof n.state) != 0 && event != DL_ON_LOADED && event != DL_ON_TESTING)
        CHECK(effects & DL_DO_JOURNAL);
    CHECK(note.kind < 0 || (effects & DL_DO_JOURNAL));
    if (event != DL_ON_BOOT && !(effects & ~(unsigned)DL_DO_JOURNAL) && !effects && note.kind < 0)
        n.todo = from->todo;
    n.todo = (n.todo | effects) & (DL_DO_UNLOAD | DL_DO_SERVE | DL_DO_LOAD);
    if (n.state.phase != DUNLIN_STAGED)
        n.todo &= ~(unsigned)DL_DO_LOAD;
    if (event == DL_ON_PLANNED)
        n.tested &= (uint8_t)~(1u << n.state.trial);
    if (event == DL_ON_UNDESIRED || event == DL_ON_WIPED) {
        if (n.state.serving == DL_NO_SLOT)
            n.was_committed = 0;
        if (dl_is_zero(n.state.release[0]))
            n.tested &= 2;
        if (dl_is_zero(n.state.release[1]))
            n.tested &= 1;
    }
    if (event == DL_ON_SERVING_DAMAGED)
        n.was_committed = 0;
    if (n.state.phase == DUNLIN_COMMITTED && n.state.serving != DL_NO_SLOT)
        n.was_committed = 1;
    promises(from, &n, event);
    add(&n);
    /* The executor does at any later moment what was asked of it. */
    if (n.todo & DL_DO_UNLOAD) {
        n.loaded = DL_NO_SLOT;
        n.todo &= ~(unsigned)DL_DO_UNLOAD;
        add(&n);
    }
    if (n.todo & DL_DO_SERVE) {
        n.loaded = n.state.serving;
        n.todo &= ~(unsigned)DL_DO_SERVE;
        add(&n);
    }
    if (n.todo & DL_DO_LOAD) {
        n.loaded = DL_NO_SLOT;
        n.todo &= ~(unsigned)DL_DO_LOAD;
        add(&n);
    }
}

/* Another directive for the same release is news where the last one was at fault, and only there. */
static void tries_again_when_directed(const uint8_t *release)
{
    static const int again[] = {DUNLIN_E_GRANT_OPEN, DUNLIN_E_GRANT_SHAPE, DUNLIN_E_FLOOR, DUNLIN_E_RELEASE,
                                DUNLIN_E_LENGTHS, DUNLIN_E_COUNT};
    static const int never[] = {DUNLIN_E_SELF_TEST, DUNLIN_E_SIGNATURE, DUNLIN_E_MODEL, DUNLIN_E_SLOT_SIZE};
    struct dl_state s;
    struct dl_note note;
    unsigned i;

    for (i = 0; i < sizeof again / sizeof again[0] + sizeof never / sizeof never[0]; i++) {
        bool first = i < sizeof again / sizeof again[0];
        int code = first ? again[i] : never[i - sizeof again / sizeof again[0]];

        dl_state_init(&s);
        (void)dl_update(&s, DL_ON_DESIRED, release, 0, &note);
        (void)dl_update(&s, DL_ON_FAILED, NULL, code, &note);
        CHECK(s.phase == DUNLIN_REFUSED && dl_update(&s, DL_ON_DESIRED, release, 0, &note) == 0);
        (void)dl_update(&s, DL_ON_DIRECTED, NULL, 0, &note);
        CHECK(s.phase == (first ? DUNLIN_PLANNED : DUNLIN_REFUSED));
    }
}

int main(void)
{
    static uint8_t release[RELEASES][DUNLIN_DIGEST];
    struct node first;
    unsigned at, event, r;

    for (r = 0; r < RELEASES; r++)
        memset(release[r], (int)r + 1, DUNLIN_DIGEST);
    memset(&first, 0, sizeof first);
    dl_state_init(&first.state);
    first.loaded = DL_NO_SLOT;
    add(&first);
    for (at = 0; at < count; at++)
        for (event = 0; event < EVENTS; event++) {
            struct node from = nodes[at];

            if (!possible(&from, event))
                continue;
            if (event == DL_ON_DESIRED)
                for (r = 0; r < RELEASES; r++)
                    follow(&from, event, release[r]);
            else
                follow(&from, event, NULL);
        }
    (void)printf("%u states, every event in each\n", count);
    tries_again_when_directed(release[0]);
    return 0;
}
