/* Events are numbered within a random stream, journaled, and told until the server's signed word covers them. */
#include <string.h>

#include "device/device.h"

#define AGAIN_MS 30000 /* no word for so long after the last one was sent: all of them again, the oldest first */
#define REFUSAL_MS 60000 /* in such a time there are at most REFUSALS, and none like the last one */
#define REFUSALS 8

static void fill(struct dl_device *d, struct dl_event_record *e, int kind, int code, const uint8_t *release)
{
    memset(e, 0, sizeof *e);
    e->kind = (uint8_t)kind;
    e->code = code;
    e->time_s = dl_wall_clock(d);
    e->uptime_s = d->uptime_s;
    if (release && !dl_is_zero(release)) {
        e->has_release = 1;
        dl_copy_digest(e->release, release);
    }
    memcpy(e->model, kind == DL_EVENT_WIPED ? d->wipe.model : d->desired.model, sizeof e->model);
    memcpy(e->text, d->why, sizeof e->text);
    d->why[0] = 0;
    dl_log(d, "event", code);
}

/* A free place, or that of the oldest event which is no receipt. */
static unsigned place_for(const struct dl_device *d)
{
    unsigned i, place = 0;
    uint32_t oldest = UINT32_MAX;

    for (i = 0; i < DL_EVENTS; i++) {
        if (!d->event_n[i])
            return i;
        if (!(d->receipts >> i & 1) && d->event_n[i] < oldest) {
            oldest = d->event_n[i];
            place = i;
        }
    }
    return place;
}

void dl_fault(struct dl_device *d, int code)
{
    if (!d->store.broken && code != DUNLIN_E_FULL) {
        (void)dl_event(d, DL_EVENT_DEVICE_FAULT, code, NULL, false);
        return;
    }
    /* Without a journal there is one event, in RAM, in a stream of its own: its number is never used again. */
    if (d->fault.n)
        return;
    if (psa_generate_random(d->fault_stream, sizeof d->fault_stream) != PSA_SUCCESS)
        memcpy(d->fault_stream, d->link.nonce, sizeof d->fault_stream);
    fill(d, &d->fault, DL_EVENT_DEVICE_FAULT, code, NULL);
    d->fault.n = 1;
    d->report_due = true;
}

int dl_event(struct dl_device *d, int kind, int code, const uint8_t *release, bool more)
{
    struct dl_event_record e;
    struct dl_stream stream = d->stream;
    unsigned place = place_for(d);
    int rc;

    fill(d, &e, kind, code, release);
    e.n = ++stream.last;
    rc = dl_store_put(&d->store, DL_KEY_STREAM, &stream, sizeof stream, true);
    if (!rc)
        rc = dl_store_put(&d->store, (uint16_t)(DL_KEY_EVENT + place), &e, sizeof e, more);
    if (rc) {
        dl_fault(d, rc);
        return rc;
    }
    d->stream = stream;
    d->event_n[place] = (uint32_t)e.n;
    d->receipts = (uint16_t)((d->receipts & ~(1u << place)) | (unsigned)(kind == DL_EVENT_WIPED) << place);
    d->report_due = true;
    return DUNLIN_OK;
}

void dl_refusal(struct dl_device *d, int kind, int code)
{
    if (d->now_ms - d->refused_ms >= REFUSAL_MS) {
        d->refused_ms = d->now_ms;
        d->refusals = 0;
    } else if (d->refused_code == code || d->refusals >= REFUSALS) {
        return;
    }
    d->refusals++;
    d->refused_code = code;
    (void)dl_event(d, kind, code, kind == DL_EVENT_OBJECT_CORRUPT ? d->state.desired : NULL, false);
}

void dl_events_load(struct dl_device *d)
{
    struct dl_event_record e;
    unsigned i;

    if (!d->stream.last)
        (void)psa_generate_random(d->stream.id, sizeof d->stream.id);
    for (i = 0; i < DL_EVENTS; i++) {
        struct dunlin_span record = dl_store_get(&d->store, (uint16_t)(DL_KEY_EVENT + i));

        if (record.size != sizeof e)
            continue;
        memcpy(&e, record.data, sizeof e);
        d->event_n[i] = (uint32_t)e.n;
        d->receipts |= (uint16_t)((e.kind == DL_EVENT_WIPED) << i);
    }
}

void dl_events_again(struct dl_device *d)
{
    d->event_sent = 0;
    d->fault.zero[0] = 0;
}

void dl_events_acked(struct dl_device *d, const uint8_t stream[DUNLIN_ID], uint64_t n)
{
    unsigned i;

    if (memcmp(stream, d->stream.id, DUNLIN_ID) != 0)
        return;
    for (i = 0; i < DL_EVENTS; i++) {
        if (!d->event_n[i] || d->event_n[i] > n)
            continue;
        if (dl_drop(d, (uint16_t)(DL_KEY_EVENT + i), false))
            return;
        d->event_n[i] = 0;
        d->receipts &= (uint16_t)~(1u << i);
    }
}

/* Sign one into the link's buffer. */
static int send(struct dl_device *d, const struct dl_event_record *e, const uint8_t *stream)
{
    struct dunlin_span receipt = {NULL, 0};
    struct dl_event event = {
        .stream = stream,
        .n = e->n,
        .kind = e->kind,
        .time_s = e->time_s,
        .uptime_s = e->uptime_s,
        .model = e->model,
        .release = e->has_release ? e->release : NULL,
        .code = e->code ? dunlin_reason(e->code) : NULL,
        .text = e->text[0] ? e->text : NULL,
    };
    size_t size;
    int rc;

    if (e->kind == DL_EVENT_WIPED) {
        receipt = dl_store_get(&d->store, DL_KEY_RECEIPT);
        if (receipt.size > DUNLIN_DIGEST) {
            event.receipt.data = receipt.data + DUNLIN_DIGEST;
            event.receipt.size = receipt.size - DUNLIN_DIGEST;
        }
    }
    rc = dl_event_write(&event, d->port.identity_key, d->link.up, sizeof d->link.up, &size);
    if (!rc)
        dl_up_start(&d->link, DL_UP_EVENTS, size);
    return rc;
}

bool dl_events_step(struct dl_device *d)
{
    struct dl_event_record e;
    uint32_t next = UINT32_MAX;
    unsigned i, place = DL_EVENTS;
    bool kept = false;
    int rc;

    if (d->link.up_kind || !d->link.welcome || !d->identity.enrolled)
        return false;
    if (d->event_sending) {
        d->event_sent = d->event_sending;
        d->event_sending = 0;
        d->events_due_ms = d->now_ms + AGAIN_MS;
    }
    if (d->fault.n && !d->fault.zero[0]) {
        d->fault.zero[0] = 1;
        return send(d, &d->fault, d->fault_stream) == DUNLIN_OK;
    }
    for (i = 0; i < DL_EVENTS; i++) {
        kept |= d->event_n[i] != 0;
        if (d->event_n[i] > d->event_sent && d->event_n[i] < next) {
            next = d->event_n[i];
            place = i;
        }
    }
    if (place == DL_EVENTS) {
        if (!kept || !dl_due(d->now_ms, d->events_due_ms))
            return false;
        d->event_sent = 0;
        return true;
    }
    memcpy(&e, dl_store_get(&d->store, (uint16_t)(DL_KEY_EVENT + place)).data, sizeof e);
    rc = send(d, &e, d->stream.id);
    d->event_sending = rc ? 0 : next;
    if (rc) { /* no entropy, no key: later, perhaps */
        d->event_sent = UINT32_MAX;
        d->events_due_ms = d->now_ms + AGAIN_MS;
    }
    return true;
}
