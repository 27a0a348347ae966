/* The update machine's hands: loading, testing, probation, and inference for the application. */
#include <string.h>

#include "device/device.h"

#define HASH_BYTES 4096
#define CRYPTO_MS 10000 /* then what could not be looked at is looked at again */

void dl_feed(struct dl_device *d, enum dl_update_event event, const uint8_t *release, int code)
{
    struct dl_state before = d->state;
    struct dl_note note;
    unsigned effects = dl_update(&d->state, event, release, code, &note);
    const uint8_t *about = note.served && before.serving != DL_NO_SLOT ? before.release[before.serving] : d->state.desired;

    if (effects & DL_DO_JOURNAL &&
        (d->store.broken || (note.kind >= 0 && dl_event(d, note.kind, note.code, about, true)) ||
         dl_save(d, DL_KEY_STATE, false)) &&
        event != DL_ON_SERVING_DAMAGED) {
        /* What cannot be remembered is not begun, and what is known to be good serves; unless that is damaged, which each
         * boot finds out anew. */
        d->state = before;
        if (before.serving != DL_NO_SLOT)
            d->todo |= DL_DO_SERVE;
        return;
    }
    d->report_due |= d->state.phase != before.phase;
    d->todo |= effects & ~(unsigned)DL_DO_JOURNAL;
}

void dl_reconcile(struct dl_device *d)
{
    if (d->wipe.underway)
        return;
    if (d->followed.has_model)
        dl_feed(d, DL_ON_DESIRED, d->desired.release, 0);
    else
        dl_feed(d, DL_ON_UNDESIRED, NULL, 0);
}

/* ---- what a slot holds ----------------------------------------------------------------------------------------- */

int dl_slot_open(struct dl_device *d, uint8_t slot)
{
    const struct dunlin_layout *layout = &d->port.layout;
    struct dl_manifest *manifest = &d->scratch.manifest;
    const uint8_t *release = d->state.release[slot];
    struct dunlin_span envelope;
    struct dl_slot found;
    uint8_t variant;
    int rc;

    if (!dl_slot_read(d->port.flash, layout->slot[slot], layout->slot_size, release, &found, &variant))
        return DUNLIN_E_INSTALLED;
    envelope = dl_slot_manifest(d->port.flash, &found);
    rc = dl_manifest_open_known(envelope, release, manifest);
    if (rc == DUNLIN_E_CRYPTO)
        return rc;
    if (rc || dl_variant_at(manifest, variant, &d->variant) ||
        dl_slot_layout(&d->slot, &d->variant, layout->slot[slot], layout->slot_size, d->port.flash) ||
        d->slot.chunks != found.chunks)
        return DUNLIN_E_INSTALLED;
    d->slot.manifest_size = found.manifest_size;
    return DUNLIN_OK;
}

static struct dunlin_span payload_in(const struct dl_device *d, unsigned payload)
{
    return (struct dunlin_span){d->port.flash->base + d->slot.base + d->slot.payload[payload],
                                d->variant.payload[payload].installed};
}

void dl_hash_begin(struct dl_device *d)
{
    d->work.payload = 0;
    d->work.at = 0;
    dl_hash_start(&d->work.hash);
}

int dl_hash_step(struct dl_device *d)
{
    struct dl_work *w = &d->work;
    struct dunlin_span bytes = payload_in(d, w->payload);
    size_t size = bytes.size - w->at < HASH_BYTES ? bytes.size - w->at : HASH_BYTES;
    uint8_t digest[DUNLIN_DIGEST];

    dl_kick(d);
    dl_hash_add(&w->hash, bytes.data + w->at, size);
    w->at += (uint32_t)size;
    if (w->at < bytes.size)
        return DUNLIN_E_AGAIN;
    if (dl_hash_end(&w->hash, digest))
        return DUNLIN_E_CRYPTO;
    if (!dl_same_digest(digest, d->variant.payload[w->payload].sha256))
        return DUNLIN_E_INSTALLED;
    if (++w->payload == d->variant.payloads)
        return DUNLIN_OK;
    w->at = 0;
    dl_hash_start(&w->hash);
    return DUNLIN_E_AGAIN;
}

/* Everything in the slot has its SHA-256: looked at once each boot before anything of it runs. */
static int check(struct dl_device *d, uint8_t slot)
{
    int rc = dl_slot_open(d, slot);

    if (rc || d->checked >> slot & 1)
        return rc;
    dl_fill_stop(d);
    dl_hash_begin(d);
    do
        rc = dl_hash_step(d);
    while (rc == DUNLIN_E_AGAIN);
    if (!rc)
        d->checked |= (uint8_t)(1u << slot);
    return rc;
}

/* Sizes of the tensors, for the application; a free dimension is one. */
static void measure(struct dl_device *d)
{
    struct dl_tensor tensor;
    size_t i, k;

    for (i = 0; dl_variant_tensor(&d->variant, true, i, &tensor) > 0; i++)
        continue;
    d->output_count = (uint32_t)i;
    for (i = 0; i < DUNLIN_TENSORS && dl_variant_tensor(&d->variant, false, i, &tensor) > 0; i++) {
        d->input_bytes[i] = dl_dtype_size(tensor.dtype);
        for (k = 0; k < tensor.dimensions; k++)
            d->input_bytes[i] *= tensor.shape[k] > 0 ? (uint32_t)tensor.shape[k] : 1;
    }
    d->input_count = (uint32_t)i;
}

static int load(struct dl_device *d, uint8_t slot)
{
    int rc;

    dl_unload(d);
    rc = check(d, slot);
    if (rc)
        return rc;
    rc = dl_infer_load(payload_in(d, d->variant.model), &d->variant, d->config.arena, d->config.arena_size,
                       &d->arena_used);
    if (!rc)
        measure(d);
    return rc;
}

static int self_test(struct dl_device *d, uint8_t slot)
{
    int rc = dl_infer_self_test(payload_in(d, d->variant.golden), &d->variant, d->port.board,
                                &d->self_test.slowest_us);

    d->self_test.count++;
    d->self_test.slot = slot;
    d->self_test.error = rc;
    dl_copy_digest(d->self_test.release, d->state.release[slot]);
    if (!rc)
        d->loaded = slot;
    return rc;
}

void dl_unload(struct dl_device *d)
{
    dl_infer_unload();
    d->loaded = DL_NO_SLOT;
    d->arena_used = d->input_count = d->output_count = 0;
    d->served = 0;
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

/* What lies in the slot may serve again: a directive may have put it below the floor since. */
static bool below_floor(struct dl_device *d, uint8_t slot)
{
    return dl_slot_open(d, slot) || d->scratch.manifest.counter < d->desired.floor;
}

static void serve(struct dl_device *d)
{
    uint8_t slot = d->state.serving;
    bool told = d->serve_again;
    int rc;

    d->serve_again = false;
    if (slot == DL_NO_SLOT) {
        dl_unload(d);
        return;
    }
    if (d->loaded == slot)
        return;
    rc = load(d, slot);
    if (!rc)
        rc = self_test(d, slot);
    if (rc == DUNLIN_E_INSTALLED || rc == DUNLIN_E_SELF_TEST || rc == DUNLIN_E_INVOKE) {
        if (below_floor(d, slot ^ 1))
            d->state.committed &= (uint8_t)~(1u << (slot ^ 1));
        dl_feed(d, DL_ON_SERVING_DAMAGED, NULL, rc);
    } else if (rc) {
        if (!told)
            dl_fault(d, rc);
        d->serve_again = rc == DUNLIN_E_CRYPTO;
        d->crypto_ms = d->now_ms;
    }
}

/* The crypto library failed, not the model. A download that is underway loses its memory to this, and resumes. */
static bool serve_again(struct dl_device *d)
{
    if (!d->serve_again || d->loaded != DL_NO_SLOT || d->now_ms - d->crypto_ms < CRYPTO_MS)
        return false;
    d->todo |= DL_DO_SERVE;
    if (d->state.phase == DUNLIN_PLANNED)
        d->todo |= DL_DO_PLAN;
    else if (d->state.phase == DUNLIN_DOWNLOADING)
        d->todo |= DL_DO_DOWNLOAD;
    return true;
}

static void load_trial(struct dl_device *d)
{
    uint8_t slot = d->state.trial;
    int rc;

    if (slot == DL_NO_SLOT || d->state.phase != DUNLIN_STAGED)
        return;
    rc = load(d, slot);
    /* The other slot may hold what a directive has put below the floor since. */
    if (!rc)
        rc = dl_manifest_open_known(dl_slot_manifest(d->port.flash, &d->slot), d->state.release[slot],
                                    &d->scratch.manifest);
    if (!rc)
        rc = dl_release_check(&d->desired, &d->scratch.manifest);
    if (rc == DUNLIN_E_INSTALLED)
        dl_feed(d, DL_ON_DAMAGED, NULL, rc);
    else
        dl_feed(d, rc ? DL_ON_FAILED : DL_ON_LOADED, NULL, rc);
}

static void test(struct dl_device *d)
{
    int rc;

    if (d->state.phase != DUNLIN_LOADED)
        return;
    dl_feed(d, DL_ON_TESTING, NULL, 0);
    rc = self_test(d, d->state.trial);
    dl_feed(d, rc ? DL_ON_FAILED : DL_ON_TEST_PASSED, NULL, rc);
    d->trial_served = 0;
    d->trial_failed = false;
    d->trial_from_s = d->uptime_s;
}

static bool watch(struct dl_device *d)
{
    uint32_t elapsed_s = d->uptime_s - d->trial_from_s;
    bool enough = elapsed_s >= d->settings.probation_s && d->trial_served >= d->settings.probation_requests;

    if (d->state.phase != DUNLIN_PROBATION)
        return false;
    if (d->store.broken) {
        if (d->trial_failed && d->state.serving != DL_NO_SLOT)
            d->todo |= DL_DO_SERVE;
        d->trial_failed = false;
        return false;
    }
    if (d->trial_failed)
        dl_feed(d, DL_ON_FAILED, NULL, DUNLIN_E_INVOKE);
    else if (enough || elapsed_s >= d->settings.probation_max_s)
        dl_feed(d, DL_ON_PROBATION_PASSED, NULL, 0);
    return d->state.phase != DUNLIN_PROBATION;
}

static bool take(struct dl_device *d, unsigned effect)
{
    bool there = (d->todo & effect) != 0;

    d->todo &= ~effect;
    return there;
}

bool dl_serve_step(struct dl_device *d)
{
    if (take(d, DL_DO_UNLOAD))
        dl_unload(d);
    else if (take(d, DL_DO_SERVE))
        serve(d);
    else if (take(d, DL_DO_STAGE))
        dl_feed(d, DL_ON_STAGED, NULL, 0);
    else if (take(d, DL_DO_LOAD))
        load_trial(d);
    else if (take(d, DL_DO_TEST))
        test(d);
    else
        return serve_again(d) || watch(d);
    return true;
}
