/* Carrying out a wipe order: the intent is in the journal first, every stage may be done again, and the receipt is
 * signed when all of it is true. Power may fail anywhere; the next boot begins anew with the first stage. */
#include <string.h>

#include "device/device.h"
#include "device/flash.h"

#define ORDERS 8 /* carried out, and known again */

enum { STAGE_STOP, STAGE_ERASE, STAGE_KEY, STAGE_OLD_KEY, STAGE_SCRUB, STAGE_RECEIPT };

void dl_wipe_prepare(struct dl_device *d, const struct dl_wipe_order *order)
{
    struct dl_wipe *w = &d->wipe;
    unsigned slot;

    if (w->underway && dl_same_digest(w->order, order->digest))
        return;
    memset(w, 0, sizeof *w);
    dl_copy_digest(w->order, order->digest);
    w->whole = order->models.size == 0;
    w->kem = d->identity.kem;
    w->erase = w->whole;
    if (d->desired.model[0] && (w->whole || dl_wipe_covers(order, d->desired.model))) {
        memcpy(w->model, d->desired.model, sizeof w->model);
        w->erase = 1;
        for (slot = 0; slot < 2; slot++)
            if (!dl_is_zero(d->state.release[slot]))
                dl_copy_digest(w->release[w->releases++], d->state.release[slot]);
    }
    d->wipe_stage = STAGE_STOP;
    d->wipe_stuck = false;
}

bool dl_wipe_repeated(struct dl_device *d, const uint8_t order[DUNLIN_DIGEST])
{
    struct dunlin_span receipt = dl_store_get(&d->store, DL_KEY_RECEIPT);
    struct dunlin_span orders = dl_store_get(&d->store, DL_KEY_ORDERS);

    if (receipt.size > DUNLIN_DIGEST && dl_same_digest(receipt.data, order)) {
        if (!d->receipts)
            (void)dl_event(d, DL_EVENT_WIPED, 0, NULL, false);
        return true;
    }
    for (; orders.size; orders.data += DUNLIN_DIGEST, orders.size -= DUNLIN_DIGEST)
        if (dl_same_digest(orders.data, order))
            return true;
    return false;
}

/* The new key, and a state that knows of no model any more, count together. */
static int change_key(struct dl_device *d)
{
    uint8_t fresh = d->wipe.kem ^ 1;
    struct dl_note none;
    int rc;

    if (d->identity.kem == fresh)
        return DUNLIN_OK;
    (void)psa_destroy_key(d->port.kem_key[fresh]); /* one that was made before power failed */
    rc = dl_key_make(d->port.kem_key[fresh], false);
    if (rc)
        return rc;
    d->identity.kem = fresh;
    if (d->wipe.erase) {
        (void)dl_update(&d->state, DL_ON_WIPED, NULL, 0, &none);
        d->state.erase = 0;
    }
    rc = dl_save(d, DL_KEY_STATE, true);
    if (!rc && d->wipe.whole)
        rc = dl_drop(d, DL_KEY_SETTINGS, true);
    return rc ? rc : dl_save(d, DL_KEY_IDENTITY, false);
}

/* Bit per slot that is erased: both, or those that hold what was removed before and are not blank yet. */
static uint8_t slots(const struct dl_device *d)
{
    return d->wipe.erase ? 3 : d->state.erase;
}

static bool blank(const struct dl_device *d, unsigned mask)
{
    const struct dunlin_layout *layout = &d->port.layout;
    unsigned slot;

    for (slot = 0; slot < 2; slot++)
        if (mask >> slot & 1 && !dl_flash_blank(d->port.flash, layout->slot[slot], layout->slot_size))
            return false;
    return true;
}

/* Only the last order's receipt is kept; the orders before it are known, so that none is carried out twice. */
static int keep_order(struct dl_device *d, uint8_t *list)
{
    struct dunlin_span known = dl_store_get(&d->store, DL_KEY_ORDERS);
    size_t size = known.size < ORDERS * DUNLIN_DIGEST ? known.size : (ORDERS - 1) * DUNLIN_DIGEST;

    dl_copy_digest(list, d->wipe.order);
    if (size)
        memcpy(list + DUNLIN_DIGEST, known.data, size);
    return dl_journal(d, DL_KEY_ORDERS, list, DUNLIN_DIGEST + size, true);
}

static int write_receipt(struct dl_device *d)
{
    const struct dl_wipe *w = &d->wipe;
    uint8_t kem[DUNLIN_SPKI], *out = d->scratch.plain;
    unsigned mask = slots(d), files = (mask & 1) + (mask >> 1);
    struct dl_receipt receipt = {
        .device = d->identity.device,
        .order_digest = w->order,
        .model = w->model[0] ? w->model : NULL,
        .release_count = w->releases,
        .files = files,
        .bytes = files * (uint64_t)d->port.layout.slot_size,
        .time_s = dl_wall_clock(d),
        .canary_unreadable = !dl_key_there(d->port.kem_key[w->kem]) && blank(d, mask),
        .method = "slots erased and read back blank, KEM key rotated, journal scrubbed",
        .kem = kem,
    };
    size_t size;
    unsigned i;
    int rc = dl_public_spki(dl_kem_key(d), kem);

    if (!mask)
        receipt.method = "KEM key rotated, journal scrubbed";
    for (i = 0; i < w->releases; i++)
        receipt.releases[i] = w->release[i];
    dl_copy_digest(out, w->order);
    if (!rc)
        rc = dl_receipt_write(&receipt, d->port.identity_key, out + DUNLIN_DIGEST, sizeof d->scratch.plain - DUNLIN_DIGEST,
                              &size);
    if (!rc)
        rc = dl_journal(d, DL_KEY_RECEIPT, out, DUNLIN_DIGEST + size, true);
    if (!rc)
        rc = keep_order(d, out + DUNLIN_DIGEST + size);
    if (!rc)
        rc = dl_drop(d, DL_KEY_WIPE, true);
    if (!rc)
        rc = dl_event(d, DL_EVENT_WIPED, 0, w->release[0], false);
    return rc;
}

static int run(struct dl_device *d)
{
    psa_key_id_t old = d->port.kem_key[d->wipe.kem];
    int rc;

    switch (d->wipe_stage) {
    case STAGE_STOP:
        d->erase_at = 0;
        d->wipe_failed = false;
        if (!d->wipe.erase)
            return DUNLIN_OK;
        dl_fill_stop(d);
        dl_unload(d);
        dl_wipe(d->config.arena, d->config.arena_size);
        d->todo = 0;
        return DUNLIN_OK;
    case STAGE_ERASE:
        rc = dl_erase_some(d, slots(d));
        if (rc != DUNLIN_E_FLASH)
            return rc;
        d->wipe_failed = true; /* everything else goes all the same, but nobody gets a receipt */
        return DUNLIN_E_AGAIN;
    case STAGE_KEY:
        return change_key(d);
    case STAGE_OLD_KEY:
        (void)psa_destroy_key(old);
        return dl_key_there(old) ? DUNLIN_E_KEYSTORE : DUNLIN_OK;
    case STAGE_SCRUB:
        return dl_store_scrub(&d->store, 0);
    default:
        return d->wipe_failed ? DUNLIN_E_FLASH : write_receipt(d);
    }
}

bool dl_wipe_step(struct dl_device *d)
{
    int rc;

    if (!d->wipe.underway || d->wipe_stuck || d->store.broken)
        return false;
    rc = run(d);
    if (rc == DUNLIN_E_AGAIN)
        return true;
    if (rc) { /* again at the next boot, or when the order comes again */
        d->wipe_stuck = true;
        (void)dl_event(d, DL_EVENT_WIPE_REFUSED, rc, NULL, false);
    } else if (d->wipe_stage++ == STAGE_RECEIPT) {
        d->wipe_stage = STAGE_STOP;
        d->wipe.underway = 0;
        if (d->state.erase)
            dl_feed(d, DL_ON_ERASED, NULL, 0);
        dl_reconcile(d);
    }
    return true;
}
