/* Offered messages, taken apart in steps of at most one signature check each (a wipe order: two). */
#include <string.h>

#include "contract/cbor.h"
#include "device/device.h"

enum { STAGE_NONE, STAGE_OPEN, STAGE_WIPE, STAGE_ACCEPT };
enum { WIPE_NONE = -1, WIPE_CARRY_OUT };

/* Until then no other GET is begun: its name and size are those of the message that lies here. */
static void finish(struct dl_device *d, bool took)
{
    if (took)
        dl_offer_took(&d->link, d->message_kind, d->link.get.name);
    else
        dl_offer_later(&d->link, d->message_kind, d->link.get.name);
    d->message_stage = STAGE_NONE;
}

static struct dunlin_span message(const struct dl_device *d)
{
    return (struct dunlin_span){d->message, d->link.get.have};
}

/* Even a refused directive may name the next root: a stolen director key must not block a rotation. */
static bool walk(struct dl_device *d, int code)
{
    const uint8_t *name = dl_directive_peek_root(message(d));

    if (!name || dl_same_digest(name, d->root_name) || dl_same_digest(name, d->bad_root))
        return false;
    dl_copy_digest(d->walk_root, name);
    memcpy(d->walk_offer, d->link.get.name, sizeof d->walk_offer);
    d->walk_code = code;
    d->walking = true;
    d->named_misses = 0;
    d->named_at_ms = d->now_ms;
    return true;
}

static void open_directive(struct dl_device *d)
{
    struct dl_directive *directive = &d->scratch.directive;
    struct dl_memory memory = {d->identity.device, 0, d->followed.seq, d->followed.digest, d->link.nonce,
                               d->followed.time_floor};
    struct dl_root root;
    int rc = dl_root_in_force(d, &root);

    if (!rc)
        rc = dl_directive_open(message(d), &root, directive);
    if (!rc) {
        memory.epoch = root.epoch;
        rc = dl_directive_decide(&memory, directive, d->lived - d->followed.floor_at);
    }
    if (!rc) {
        d->message_stage = STAGE_WIPE;
        return;
    }
    if (rc != DL_FOLLOWED && walk(d, rc)) {
        finish(d, false);
        return;
    }
    if (rc != DL_FOLLOWED)
        dl_refusal(d, DL_EVENT_DIRECTIVE_REFUSED, rc);
    finish(d, true);
}

static void check_wipe(struct dl_device *d)
{
    const struct dl_directive *directive = &d->scratch.directive;
    struct dl_wipe_order order;
    struct dl_root root;

    d->message_stage = STAGE_ACCEPT;
    d->message_wipe = WIPE_NONE;
    if (!directive->wipe.size)
        return;
    d->message_wipe = dl_root_in_force(d, &root);
    if (!d->message_wipe)
        d->message_wipe = dl_wipe_open(directive->wipe, &root, &order);
    if (!d->message_wipe)
        d->message_wipe = dl_wipe_check(&order, d->identity.device, directive);
    if (d->message_wipe)
        return;
    if (dl_wipe_repeated(d, order.digest))
        d->message_wipe = WIPE_NONE;
    else
        dl_wipe_prepare(d, &order);
}

/* This device holds one model: of several the one that it has, else the first. */
static void choose_model(const struct dl_device *d, struct dl_directive *directive)
{
    struct dunlin_span in = directive->models_map, record;
    bool present;

    if (directive->models < 2 || strcmp(directive->desired.model, d->desired.model) == 0)
        return;
    while (in.size) {
        present = dl_is(dl_take(&in), d->desired.model);
        record = dl_item(&in);
        if (!present)
            continue;
        memcpy(directive->refused, directive->desired.model, sizeof directive->refused);
        memset(&directive->desired, 0, sizeof directive->desired);
        (void)dl_desired_read(record, &directive->desired);
        memcpy(directive->desired.model, d->desired.model, sizeof directive->desired.model);
        return;
    }
}

static void remember(struct dl_device *d, const struct dl_directive *directive)
{
    struct dl_followed *f = &d->followed;

    f->lived = f->lease_at = d->lived_kept = d->lived;
    f->lease_said = 0;
    f->epoch = directive->epoch;
    f->seq = directive->seq;
    dl_copy_digest(f->digest, directive->digest);
    if (directive->issued > f->time_floor) {
        f->time_floor = directive->issued;
        f->floor_at = f->lived;
    }
    f->has_model = directive->models > 0;
    f->has_settings = directive->settings != NULL;
    if (directive->settings)
        dl_copy_digest(f->settings, directive->settings);
    f->has_next_root = directive->root != NULL;
    if (directive->root)
        dl_copy_digest(f->next_root, directive->root);
    d->settings_due = d->report_due = true;
    d->named_at_ms = d->now_ms;
    d->named_misses = 0;
    d->walking = false;
}

/* A model's floor only rises, also over its removal; a root with a higher epoch alone begins anew. */
static void keep_floor(struct dl_followed *f, struct dl_desired *desired)
{
    struct dl_floor *known = f->floors, *end = known + DL_FLOORS;

    while (known < end && known->model[0] && strcmp(known->model, desired->model) != 0)
        known++;
    if (known == end || (!known->model[0] && !desired->floor))
        return;
    memcpy(known->model, desired->model, sizeof known->model);
    if (known->floor < desired->floor)
        known->floor = desired->floor;
    desired->floor = known->floor;
}

static void accept(struct dl_device *d)
{
    struct dl_directive *directive = &d->scratch.directive;
    struct dl_desired *desired = &directive->desired;
    bool wipe = d->message_wipe == WIPE_CARRY_OUT, changed, refused;

    choose_model(d, directive);
    if (directive->models)
        keep_floor(&d->followed, desired);
    else
        memset(desired, 0, sizeof *desired);
    if (wipe) { /* also one that could not be carried out the last time */
        d->wipe_stuck = false;
        d->wipe_stage = 0;
    }
    /* Another model, or none: the present one is to go, and is told of under its own name. */
    if (!(wipe && d->wipe.erase) && d->followed.has_model && strcmp(desired->model, d->desired.model) != 0)
        dl_feed(d, DL_ON_UNDESIRED, NULL, 0);
    changed = memcmp(desired, &d->desired, sizeof *desired) != 0;
    refused = directive->models > 1 && strcmp(directive->refused, d->followed.refused) != 0;
    remember(d, directive);
    memcpy(d->followed.refused, directive->refused, sizeof d->followed.refused);
    d->desired = *desired;
    d->wipe.underway |= wipe;
    if (dl_save(d, DL_KEY_DESIRED, true) || (wipe && dl_save(d, DL_KEY_WIPE, true)) ||
        dl_save(d, DL_KEY_FOLLOWED, false)) {
        d->wipe.underway &= !wipe;
        finish(d, false);
        return;
    }
    if (refused)
        (void)dl_event(d, DL_EVENT_UPDATE_REFUSED, DUNLIN_E_NO_SLOT, NULL, false);
    if (d->message_wipe > 0)
        dl_refusal(d, DL_EVENT_WIPE_REFUSED, d->message_wipe);
    dl_settings_load(d);
    finish(d, true);
    dl_reconcile(d);
    if (changed && !d->wipe.underway)
        dl_feed(d, DL_ON_DIRECTED, NULL, 0);
}

static void open_ack(struct dl_device *d)
{
    struct dl_root root;
    struct dl_ack ack;
    int rc = dl_root_in_force(d, &root);

    if (!rc)
        rc = dl_ack_open(message(d), &root, &ack);
    if (!rc && (ack.device.size != strlen(d->identity.device) ||
                memcmp(ack.device.data, d->identity.device, ack.device.size) != 0))
        rc = DUNLIN_E_DEVICE;
    if (rc)
        dl_refusal(d, DL_EVENT_NOTE, rc);
    else
        dl_events_acked(d, ack.stream, ack.n);
    finish(d, true);
}

bool dl_message_step(struct dl_device *d)
{
    if (d->message_stage == STAGE_NONE)
        return false;
    if (d->message_kind == DL_OFFER_CLAIM) {
        dl_claim_arrived(d, message(d));
        finish(d, true);
    } else if (d->message_kind == DL_OFFER_ENROL) {
        dl_enrol_reply_arrived(d, message(d));
        finish(d, true);
    } else if (d->store.broken) {
        finish(d, false); /* nothing can be remembered: nothing is followed */
    } else if (d->message_kind == DL_OFFER_ACK) {
        open_ack(d);
    } else if (d->message_stage == STAGE_OPEN) {
        open_directive(d);
    } else if (d->message_stage == STAGE_WIPE) {
        check_wipe(d);
    } else {
        accept(d);
    }
    return true;
}

/* ---- objects that directives name ------------------------------------------------------------------------------ */

void dl_root_arrived(struct dl_device *d, struct dunlin_span envelope)
{
    struct dl_followed *f = &d->followed;
    struct dl_root current, next;
    int rc = dl_root_in_force(d, &current);

    if (!rc)
        rc = dl_root_next(envelope, &current, &next);
    d->walking = false;
    if (rc) {
        if (rc != DUNLIN_E_CRYPTO)
            dl_copy_digest(d->bad_root, d->link.get.name);
        dl_refusal(d, DL_EVENT_DIRECTIVE_REFUSED, rc);
        return;
    }
    f->has_next_root = 0;
    if (next.epoch > current.epoch) { /* numbers begin anew */
        f->epoch = next.epoch;
        f->seq = 0;
        memset(f->digest, 0, sizeof f->digest);
        memset(f->floors, 0, sizeof f->floors);
    }
    dl_copy_digest(d->root_name, d->link.get.name);
    memset(d->bad_root, 0, sizeof d->bad_root); /* it may have been too early only */
    if (!dl_journal(d, DL_KEY_ROOT, envelope.data, envelope.size, true) && !dl_save(d, DL_KEY_FOLLOWED, true))
        (void)dl_event(d, DL_EVENT_ROOT_CHANGED, 0, NULL, false);
}

void dl_settings_arrived(struct dl_device *d, struct dunlin_span record)
{
    int rc = dl_settings_open(record, &d->settings);

    if (!rc && !dl_journal(d, DL_KEY_SETTINGS, record.data, record.size, false))
        return;
    if (rc)
        dl_refusal(d, DL_EVENT_DIRECTIVE_REFUSED, rc);
    d->followed.has_settings = 0; /* until another directive */
    dl_settings_load(d);
}

/* Those that are there and named, else what an empty record means. */
void dl_settings_load(struct dl_device *d)
{
    static const uint8_t defaults[] = {0xa1, 0x00, 0x01};
    struct dunlin_span record = dl_store_get(&d->store, DL_KEY_SETTINGS);

    if (!record.size || !d->followed.has_settings)
        record = (struct dunlin_span){defaults, sizeof defaults};
    (void)dl_settings_open(record, &d->settings);
}
