/* What the gateway is asked for, one thing at a time: offered messages first, then the next root, settings, and the
 * objects that fill a slot. */
#include <string.h>

#include "device/device.h"

#define PAUSE_MS 2000

void dl_pause(struct dl_device *d)
{
    d->work.pause_until = d->now_ms + PAUSE_MS;
}

void dl_ask(struct dl_device *d, uint8_t job, const uint8_t *name, uint32_t offset, uint32_t length)
{
    d->job = job;
    d->job_seen = 0;
    dl_get_start(&d->link, name, offset, d->message, length);
}

/* ---- objects that are whole once their digest is their name ---------------------------------------------------- */

static bool whole(const struct dl_device *d)
{
    struct dunlin_span bytes = {d->message, d->link.get.have};
    uint8_t digest[DUNLIN_DIGEST];

    return dl_sha256(bytes, digest) == 0 && dl_same_digest(digest, d->link.get.name);
}

static void arrived(struct dl_device *d, uint8_t job, struct dunlin_span bytes)
{
    d->work.missing_since = 0;
    if (d->missing_count) {
        d->missing_count = 0;
        d->report_due = true;
    }
    switch (job) {
    case DL_JOB_OFFER:
        d->message_kind = d->job_kind;
        d->message_stage = 1;
        break;
    case DL_JOB_ROOT:
        d->named_misses = 0;
        dl_root_arrived(d, bytes);
        break;
    case DL_JOB_SETTINGS:
        dl_settings_arrived(d, bytes);
        break;
    default:
        dl_fill_arrived(d, job, bytes);
    }
}

/* The report names what does not come, and the server sends it again. False: it does already. */
static bool note_missing(struct dl_device *d)
{
    const uint8_t *name = d->link.get.name;
    unsigned i;

    if (d->missing_count == DL_MISSING)
        return false;
    for (i = 0; i < d->missing_count; i++)
        if (dl_same_digest(d->missing[i], name))
            return false;
    dl_copy_digest(d->missing[d->missing_count++], name);
    d->report_due = true;
    return true;
}

/* The next root and settings must not keep a slot from being filled. */
static void named_not_there(struct dl_device *d)
{
    d->named_at_ms = d->now_ms + PAUSE_MS;
    if (d->named_misses < UINT8_MAX)
        d->named_misses++;
    if (d->named_misses * (PAUSE_MS / 1000u) < d->settings.timeout_s)
        return;
    (void)note_missing(d);
    if (d->walking) /* until the directive that names it is offered again */
        dl_refusal(d, DL_EVENT_DIRECTIVE_REFUSED, d->walk_code);
    d->walking = false;
}

static void not_there(struct dl_device *d, uint8_t job)
{
    if (job == DL_JOB_OFFER) {
        dl_offer_later(&d->link, d->job_kind, d->link.get.name);
        return;
    }
    if (job == DL_JOB_ROOT || job == DL_JOB_SETTINGS) {
        named_not_there(d);
        return;
    }
    if (!d->work.missing_since)
        d->work.missing_since = d->now_ms | 1;
    if (dl_due(d->now_ms, d->work.missing_since + 1000 * d->settings.timeout_s) && note_missing(d) &&
        job == DL_JOB_CHUNK) {
        dl_fill_stage(d, DL_WORK_RESUME, 0); /* is the name right that lies in flash? */
        return;
    }
    /* Asking for the next chunks, too, lets the gateway fetch several at a time. */
    if (job == DL_JOB_CHUNK && ++d->work.nones < d->settings.window) {
        d->work.at++;
        return;
    }
    d->work.nones = 0;
    if (job == DL_JOB_CHUNK)
        d->work.at = 0;
    dl_pause(d);
}

/* The object that is being fetched: false while there is nothing to do but wait. */
static bool job_step(struct dl_device *d)
{
    struct dl_get *get = &d->link.get;
    struct dunlin_span bytes = {d->message, get->have};
    uint8_t job = d->job;
    bool exact = job == DL_JOB_LEAVES || job == DL_JOB_CHUNK;

    if (exact ? get->state == DL_GET_RUNNING : get->state == DL_GET_RUNNING && get->have == d->job_seen)
        return false;
    if (get->state == DL_GET_NONE || get->state == DL_GET_STUCK) {
        d->job = DL_JOB_NONE;
        not_there(d, job);
        dl_get_stop(&d->link);
        return true;
    }
    d->job_seen = get->have;
    if (exact ? get->state == DL_GET_DONE : whole(d)) {
        dl_get_stop(&d->link);
        d->job = DL_JOB_NONE;
        arrived(d, job, bytes);
        return true;
    }
    if (get->state == DL_GET_RUNNING)
        return true;
    /* All there is, and not what its name says. */
    dl_get_stop(&d->link);
    d->job = DL_JOB_NONE;
    if (job == DL_JOB_OFFER) {
        dl_offer_later(&d->link, d->job_kind, d->link.get.name);
        return true;
    }
    dl_refusal(d, DL_EVENT_OBJECT_CORRUPT, DUNLIN_E_LENGTHS);
    not_there(d, job);
    return true;
}

/* ---- what next ------------------------------------------------------------------------------------------------- */

static bool ask_offer(struct dl_device *d)
{
    static const uint16_t caps[DL_OFFER_END] = {
        [DL_OFFER_DESIRED] = DUNLIN_DIRECTIVE_BYTES,
        [DL_OFFER_ACK] = DUNLIN_ACK_BYTES,
        [DL_OFFER_ENROL] = DL_MESSAGE_BYTES,
        [DL_OFFER_CLAIM] = 1 + DUNLIN_DEVICE + 512,
    };
    unsigned kind;

    for (kind = DL_OFFER_END - 1; kind >= DL_OFFER_DESIRED; kind--) {
        struct dl_offer *offer = &d->link.offer[kind];

        if (!offer->wanted)
            continue;
        if (kind == DL_OFFER_DESIRED && d->walking && memcmp(offer->name, d->walk_offer, sizeof d->walk_offer) == 0)
            continue; /* it is looked at again under the next root */
        if (!d->identity.enrolled && (kind == DL_OFFER_ENROL ? !d->claim.device[0] : kind != DL_OFFER_CLAIM))
            continue; /* its time has not come */
        if (offer->length > caps[kind]) {
            dl_refusal(d, DL_EVENT_DIRECTIVE_REFUSED, DUNLIN_E_SIZE);
            dl_offer_took(&d->link, (uint8_t)kind, offer->name);
            return true;
        }
        d->job_kind = (uint8_t)kind;
        dl_ask(d, DL_JOB_OFFER, offer->name, 0, offer->length);
        return true;
    }
    return false;
}

static bool settings_wanted(const struct dl_device *d)
{
    struct dunlin_span record = dl_store_get(&d->store, DL_KEY_SETTINGS);
    uint8_t digest[DUNLIN_DIGEST];

    if (!d->followed.has_settings)
        return false;
    return !record.size || dl_sha256(record, digest) || !dl_same_digest(digest, d->followed.settings);
}

static bool ask_named(struct dl_device *d)
{
    const struct dl_followed *f = &d->followed;

    if (!dl_due(d->now_ms, d->named_at_ms))
        return false;
    d->named_at_ms = d->now_ms;
    if (d->walking) {
        dl_ask(d, DL_JOB_ROOT, d->walk_root, 0, DUNLIN_ROOT_BYTES);
        return true;
    }
    if (f->has_next_root && !dl_same_digest(f->next_root, d->root_name) &&
        !dl_same_digest(f->next_root, d->bad_root)) {
        dl_ask(d, DL_JOB_ROOT, f->next_root, 0, DUNLIN_ROOT_BYTES);
        return true;
    }
    if (d->settings_due && settings_wanted(d)) {
        dl_ask(d, DL_JOB_SETTINGS, f->settings, 0, DUNLIN_SETTINGS_BYTES);
        return true;
    }
    d->settings_due = false;
    return false;
}

static bool begin_work(struct dl_device *d)
{
    unsigned what = d->todo & (DL_DO_STOP | DL_DO_PLAN | DL_DO_DOWNLOAD);

    if (!what)
        return false;
    d->todo &= ~what;
    dl_fill_stop(d);
    if (what & DL_DO_PLAN)
        dl_fill_stage(d, DL_WORK_PLAN, 0);
    else if (what & DL_DO_DOWNLOAD)
        dl_fill_stage(d, DL_WORK_RESUME, 0);
    return true;
}

bool dl_fetch_step(struct dl_device *d)
{
    if (begin_work(d))
        return true;
    if (d->job != DL_JOB_NONE)
        return job_step(d);
    if (ask_offer(d))
        return true;
    if (!d->identity.enrolled || d->store.broken || !dl_due(d->now_ms, d->work.pause_until))
        return false;
    d->work.pause_until = d->now_ms; /* a moment long past would seem to lie ahead once the clock has wrapped */
    return ask_named(d) || dl_fill_step(d);
}
