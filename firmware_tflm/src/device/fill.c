/* Filling a slot with a release: manifest, leaves, chunks; each is checked before it is believed, and chunks before they
 * touch flash. */
#include <string.h>

#include "device/device.h"
#include "device/flash.h"

#define SLICE_LEAVES (DUNLIN_LINK_WINDOW / DUNLIN_DIGEST)
#define NO_KEY 0xff

static const struct dunlin_flash *flash_of(const struct dl_device *d)
{
    return d->port.flash;
}

void dl_fill_stage(struct dl_device *d, uint8_t next, uint32_t at)
{
    d->work.stage = next;
    d->work.at = at;
    d->work.bad = d->work.nones = 0;
    d->work.pause_until = d->now_ms;
    d->report_due = true;
}

void dl_fill_stop(struct dl_device *d)
{
    (void)psa_hash_abort(&d->work.hash.state);
    dl_wipe(&d->work, sizeof d->work);
    d->work.key_payload = NO_KEY;
    d->work.pause_until = d->now_ms;
    d->missing_count = 0;
    if (d->job >= DL_JOB_MANIFEST) {
        dl_get_stop(&d->link);
        d->job = DL_JOB_NONE;
    }
}

DL_CALLED static void give_up(struct dl_device *d, int code)
{
    if (code == DUNLIN_E_FLASH)
        dl_fault(d, code);
    dl_fill_stop(d);
    dl_feed(d, DL_ON_FAILED, NULL, code);
}

/* ---- manifest: does the release fit? --------------------------------------------------------------------------- */

static void first_reason(void *ctx, const char *line)
{
    struct dl_device *d = ctx;

    if (!d->why[0])
        strncpy(d->why, line, DL_WHY);
}

static int judge(struct dl_device *d, struct dunlin_span envelope)
{
    struct dl_manifest *manifest = &d->scratch.manifest;
    struct dl_description description = dl_describe(d);
    struct dl_root root;
    int rc = dl_root_in_force(d, &root);

    if (!rc && d->desired.pages > DUNLIN_INDEX_PAGES)
        rc = DUNLIN_E_COUNT;
    if (!rc)
        rc = dl_manifest_open(envelope, &root, manifest);
    if (!rc)
        rc = dl_release_check(&d->desired, manifest);
    if (!rc)
        rc = dl_variant_choose(manifest, &description, &d->variant, first_reason, d);
    if (!rc)
        rc = dl_slot_layout(&d->slot, &d->variant, d->port.layout.slot[dl_spare(&d->state)], d->port.layout.slot_size,
                            flash_of(d));
    d->slot.manifest_size = (uint16_t)envelope.size;
    if (rc != DUNLIN_E_NO_VARIANT)
        d->why[0] = 0;
    return rc;
}

static void manifest_arrived(struct dl_device *d, struct dunlin_span envelope)
{
    int rc = judge(d, envelope);

    if (rc) {
        give_up(d, rc);
        return;
    }
    dl_feed(d, DL_ON_PLANNED, NULL, 0);
    if (d->state.phase != DUNLIN_DOWNLOADING)
        return;
    d->todo &= ~(unsigned)DL_DO_DOWNLOAD;
    d->checked &= (uint8_t)~(1u << d->state.trial);
    /* Header and manifest first: from here on the manifest is read in flash, and a slot without header is no one's. */
    rc = dl_flash_erase(flash_of(d), d->port.board, d->slot.base, d->slot.leaves);
    if (!rc)
        rc = dl_flash_program(flash_of(d), d->slot.base + d->slot.manifest, envelope.data, (uint32_t)envelope.size);
    if (!rc)
        rc = dl_manifest_open_known(dl_slot_manifest(flash_of(d), &d->slot), d->state.desired, &d->scratch.manifest);
    if (!rc)
        rc = dl_variant_at(&d->scratch.manifest, d->variant.index, &d->variant);
    if (rc)
        give_up(d, rc);
    else
        dl_fill_stage(d, DL_WORK_ERASE, d->slot.leaves);
}

/* ---- leaves ---------------------------------------------------------------------------------------------------- */

static void ask_leaves(struct dl_device *d)
{
    uint32_t index, count, leaf;
    const struct dl_payload *payload = &d->variant.payload[dl_payload_of(&d->variant, d->work.at, &index)];

    leaf = payload->leaf_from + index;
    count = payload->chunks - index;
    if (count > SLICE_LEAVES)
        count = SLICE_LEAVES;
    if (count > DUNLIN_PAGE_LEAVES - leaf % DUNLIN_PAGE_LEAVES)
        count = DUNLIN_PAGE_LEAVES - leaf % DUNLIN_PAGE_LEAVES;
    if (leaf / DUNLIN_PAGE_LEAVES >= d->desired.pages) {
        give_up(d, DUNLIN_E_LENGTHS);
        return;
    }
    dl_ask(d, DL_JOB_LEAVES, d->desired.page[leaf / DUNLIN_PAGE_LEAVES], leaf % DUNLIN_PAGE_LEAVES * DUNLIN_DIGEST,
        count * DUNLIN_DIGEST);
}

/* The signed root over the leaves that now lie in flash. */
static int check_tree(struct dl_device *d, const struct dl_payload *payload, uint32_t first)
{
    struct dl_tree *tree = &d->scratch.tree;
    uint8_t root[DUNLIN_DIGEST];
    uint32_t i;
    int rc = DUNLIN_OK;

    dl_tree_start(tree);
    for (i = 0; !rc && i < payload->chunks; i++) {
        rc = dl_tree_leaf(tree, dl_slot_leaf(flash_of(d), &d->slot, first + i));
        if (i % 64 == 0)
            dl_kick(d);
    }
    if (!rc)
        rc = dl_tree_root(tree, root);
    if (!rc && !dl_same_digest(root, payload->merkle))
        rc = DUNLIN_E_MERKLE;
    return rc;
}

static int leaves_written(struct dl_device *d, uint32_t count)
{
    uint32_t index;
    const struct dl_payload *payload = &d->variant.payload[dl_payload_of(&d->variant, d->work.at, &index)];
    uint32_t first = d->work.at - index;
    int rc = dl_flash_program(flash_of(d), d->slot.base + d->slot.leaves + d->work.at * DUNLIN_DIGEST, d->message,
                              count * DUNLIN_DIGEST);

    d->work.at += count;
    if (!rc && index + count == payload->chunks)
        rc = check_tree(d, payload, first);
    if (!rc && d->work.at == d->slot.chunks) {
        rc = dl_slot_write(flash_of(d), &d->slot, d->state.desired, d->variant.index);
        d->work.have = 0;
        dl_fill_stage(d, DL_WORK_CHUNKS, 0);
    }
    return rc;
}

static void leaves_arrived(struct dl_device *d, uint32_t size)
{
    int rc = leaves_written(d, size / DUNLIN_DIGEST);

    if (rc == DUNLIN_E_MERKLE) {
        dl_refusal(d, DL_EVENT_OBJECT_CORRUPT, rc);
        dl_fill_stage(d, DL_WORK_ERASE, d->slot.leaves);
        dl_pause(d);
    } else if (rc) {
        give_up(d, rc);
    }
}

/* ---- chunks ---------------------------------------------------------------------------------------------------- */

DL_CALLED static uint32_t chunk_at(const struct dl_device *d, uint32_t chunk, uint32_t *length)
{
    uint32_t index;
    unsigned payload = dl_payload_of(&d->variant, chunk, &index);

    *length = dl_chunk_bytes(&d->variant.payload[payload], index);
    return d->slot.base + d->slot.payload[payload] + index * DUNLIN_CHUNK;
}

/* A chunk whose mark is missing, but which was begun before power failed. */
static int make_blank(struct dl_device *d, uint32_t chunk)
{
    uint32_t length, at = chunk_at(d, chunk, &length);

    if (dl_flash_blank(flash_of(d), at, length))
        return DUNLIN_OK;
    if (flash_of(d)->sector > DUNLIN_CHUNK)
        return DUNLIN_E_AGAIN; /* other chunks share its sector */
    return dl_flash_erase(flash_of(d), d->port.board, at, DUNLIN_CHUNK);
}

static void ask_chunk(struct dl_device *d)
{
    struct dl_work *w = &d->work;
    uint32_t length;
    int rc;

    w->at = dl_slot_missing(flash_of(d), &d->slot, w->at);
    if (w->at == d->slot.chunks)
        w->at = dl_slot_missing(flash_of(d), &d->slot, 0);
    if (w->at == d->slot.chunks) {
        dl_fill_stage(d, DL_WORK_HASH, 0);
        dl_hash_begin(d);
        return;
    }
    rc = make_blank(d, w->at);
    if (rc == DUNLIN_E_AGAIN) {
        dl_feed(d, DL_ON_REPLAN, NULL, 0);
    } else if (rc) {
        give_up(d, rc);
    } else {
        (void)chunk_at(d, w->at, &length);
        dl_ask(d, DL_JOB_CHUNK, dl_slot_leaf(flash_of(d), &d->slot, w->at), 0, length + DUNLIN_TAG);
    }
}

/* The grant is opened once a download, the payload's key once a payload. */
static int make_key(struct dl_device *d, unsigned payload)
{
    struct dunlin_span grant = {d->desired.grant, d->desired.grant_size};
    struct dl_work *w = &d->work;
    int rc = DUNLIN_OK;

    if (!w->keyed) {
        rc = dl_grant_open(grant, dl_kem_key(d), d->state.desired, d->identity.device, w->cek);
        w->keyed = rc == DUNLIN_OK;
        w->key_payload = NO_KEY;
    }
    if (!rc && w->key_payload != payload) {
        rc = dl_payload_key(w->cek, d->variant.payload[payload].id, 24, 12, w->key);
        w->key_payload = (uint8_t)payload;
    }
    return rc;
}

static void chunk_arrived(struct dl_device *d, struct dunlin_span chunk)
{
    struct dl_work *w = &d->work;
    uint32_t index, length, at = chunk_at(d, w->at, &length);
    unsigned payload = dl_payload_of(&d->variant, w->at, &index);
    int rc = make_key(d, payload);

    if (!rc)
        rc = dl_chunk_open(chunk, dl_slot_leaf(flash_of(d), &d->slot, w->at), w->key, index,
                           index + 1 == d->variant.payload[payload].chunks, d->scratch.plain);
    if (rc == DUNLIN_E_LEAF) {
        dl_refusal(d, DL_EVENT_OBJECT_CORRUPT, rc);
        if (++w->bad > 1)
            dl_pause(d);
        return;
    }
    if (!rc && length)
        rc = dl_flash_program(flash_of(d), at, d->scratch.plain, length);
    if (!rc)
        rc = dl_slot_mark(flash_of(d), &d->slot, w->at);
    dl_wipe(d->scratch.plain, length);
    if (rc) {
        give_up(d, rc);
        return;
    }
    w->bad = w->nones = 0;
    w->have++;
    w->at++;
}

/* ---- steps that need no gateway -------------------------------------------------------------------------------- */

static void erase_one(struct dl_device *d)
{
    if (d->work.at >= d->slot.end) {
        dl_fill_stage(d, DL_WORK_LEAVES, 0);
        return;
    }
    if (dl_flash_erase(flash_of(d), d->port.board, d->slot.base + d->work.at, flash_of(d)->sector))
        give_up(d, DUNLIN_E_FLASH);
    else
        d->work.at += flash_of(d)->sector;
}

/* Leaves are names, too: with a wrong one the download would never end. */
static void resume(struct dl_device *d)
{
    int rc = dl_slot_open(d, d->state.trial);
    uint32_t first = 0;
    unsigned i;

    for (i = 0; !rc && i < d->variant.payloads; first += d->variant.payload[i++].chunks)
        rc = check_tree(d, &d->variant.payload[i], first);
    if (rc == DUNLIN_E_CRYPTO) {
        dl_pause(d);
    } else if (rc) {
        dl_feed(d, DL_ON_REPLAN, NULL, 0);
    } else {
        d->work.have = dl_slot_count(flash_of(d), &d->slot);
        dl_fill_stage(d, DL_WORK_CHUNKS, 0);
    }
}

static void hash_some(struct dl_device *d)
{
    int rc = dl_hash_step(d);

    if (rc == DUNLIN_E_AGAIN)
        return;
    if (!rc)
        d->checked |= (uint8_t)(1u << d->state.trial);
    dl_fill_stop(d);
    dl_feed(d, rc == DUNLIN_E_CRYPTO ? DL_ON_FAILED : rc ? DL_ON_DAMAGED : DL_ON_DOWNLOADED, NULL, rc);
}

void dl_fill_arrived(struct dl_device *d, uint8_t job, struct dunlin_span bytes)
{
    if (job == DL_JOB_MANIFEST)
        manifest_arrived(d, bytes);
    else if (job == DL_JOB_LEAVES)
        leaves_arrived(d, (uint32_t)bytes.size);
    else
        chunk_arrived(d, bytes);
}

bool dl_fill_step(struct dl_device *d)
{
    switch (d->work.stage) {
    case DL_WORK_PLAN:
        dl_ask(d, DL_JOB_MANIFEST, d->desired.manifest, 0, DUNLIN_MANIFEST_BYTES);
        return true;
    case DL_WORK_RESUME:
        resume(d);
        return true;
    case DL_WORK_ERASE:
        erase_one(d);
        return true;
    case DL_WORK_LEAVES:
        ask_leaves(d);
        return true;
    case DL_WORK_CHUNKS:
        ask_chunk(d);
        return true;
    case DL_WORK_HASH:
        hash_some(d);
        return true;
    default:
        return false;
    }
}

/* ---- slots that nobody wants any more -------------------------------------------------------------------------- */

int dl_erase_some(struct dl_device *d, uint8_t slots)
{
    const struct dunlin_layout *layout = &d->port.layout;
    uint32_t at = d->erase_at, sector = flash_of(d)->sector;
    unsigned slot = at >= layout->slot_size;

    if (at >= 2 * layout->slot_size) {
        d->erase_at = 0;
        return DUNLIN_OK;
    }
    d->erase_at += sector;
    if (!(slots >> slot & 1))
        return DUNLIN_E_AGAIN;
    d->checked &= (uint8_t)~(1u << slot);
    at += layout->slot[slot] - (slot ? layout->slot_size : 0);
    return dl_flash_erase(flash_of(d), d->port.board, at, sector) ? DUNLIN_E_FLASH : DUNLIN_E_AGAIN;
}

/* The slots that hold what nobody wants any more, a sector at a time. */
bool dl_erase_step(struct dl_device *d)
{
    int rc;

    if (!(d->todo & DL_DO_ERASE) || d->store.broken)
        return false;
    rc = dl_erase_some(d, d->state.erase);
    if (rc == DUNLIN_E_AGAIN)
        return true;
    d->erase_at = 0;
    d->todo &= ~(unsigned)DL_DO_ERASE;
    if (rc)
        dl_fault(d, rc); /* again at the next boot */
    else
        dl_feed(d, DL_ON_ERASED, NULL, 0);
    return true;
}
