#include "dunlin/dunlin.h"

#include <string.h>

#include "device/device.h"
#include "device/flash.h"

#define STORE_AREA_BYTES 16384

_Static_assert(sizeof(struct dl_device) <= sizeof(struct dunlin), "DUNLIN_STATE_BYTES in include/dunlin/state.h");

static struct dl_device *inner(struct dunlin *d)
{
    return (struct dl_device *)(void *)d->memory;
}

/* ---- open ------------------------------------------------------------------------------------------------------ */

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static int check_layout(const struct dunlin_port *port)
{
    const struct dunlin_layout *l = &port->layout;

    if (dl_flash_check(port->flash, l->store, l->store_size) || dl_flash_check(port->flash, l->slot[0], l->slot_size) ||
        dl_flash_check(port->flash, l->slot[1], l->slot_size) || l->store_size / 2 < STORE_AREA_BYTES)
        return DUNLIN_E_FLASH_LAYOUT;
    if (overlap(l->store, l->store_size, l->slot[0], l->slot_size) ||
        overlap(l->store, l->store_size, l->slot[1], l->slot_size) ||
        overlap(l->slot[0], l->slot_size, l->slot[1], l->slot_size))
        return DUNLIN_E_FLASH_LAYOUT;
    return DUNLIN_OK;
}

static bool text_fits(const char *text, size_t most)
{
    size_t length = text ? strlen(text) : 0;

    return length > 0 && length <= most;
}

/* A device that was never enrolled makes its keys; one that was and has lost them can only say so. */
static int find_keys(struct dl_device *d)
{
    int rc = DUNLIN_OK;

    if (dl_key_there(d->port.identity_key) && dl_key_there(dl_kem_key(d)))
        return DUNLIN_OK;
    if (d->identity.enrolled) {
        dl_fault(d, DUNLIN_E_KEYSTORE);
        return DUNLIN_OK;
    }
    if (!dl_key_there(d->port.identity_key))
        rc = dl_key_make(d->port.identity_key, true);
    if (!rc && !dl_key_there(dl_kem_key(d)))
        rc = dl_key_make(dl_kem_key(d), false);
    return rc;
}

/* Without entropy the nonce is still another one each boot, which is an event: so no old directive answers it. */
static bool make_nonce(struct dl_device *d, uint8_t nonce[DUNLIN_ID])
{
    uint8_t digest[DUNLIN_DIGEST];

    if (psa_generate_random(nonce, DUNLIN_ID) == PSA_SUCCESS)
        return true;
    memset(digest, 0, sizeof digest);
    (void)dl_sha256((struct dunlin_span){(const uint8_t *)&d->stream, sizeof d->stream}, digest);
    memcpy(nonce, digest, DUNLIN_ID);
    return false;
}

static void find_runtime(struct dl_device *d)
{
    const uint32_t *version = dl_infer_version();

    if (!version)
        return;
    d->runtime.name = "tflm";
    memcpy(d->runtime.version, version, sizeof d->runtime.version);
    d->runtime.ops = dl_infer_ops(&d->runtime.op_count);
    d->runtime.any_op = d->runtime.ops == NULL;
}

static int start(struct dunlin *self, const struct dunlin_port *port, const struct dunlin_config *config)
{
    struct dl_device *d = inner(self);
    uint8_t nonce[DUNLIN_ID];
    bool entropy;
    int rc;

    if (!port || !config || !port->flash || !port->pipe || !port->board || !config->arena ||
        !text_fits(config->agent_version, 64) || !text_fits(port->board->hardware_class, 64) ||
        !text_fits(port->board->arch, 64) || !text_fits(port->board->keystore, 64))
        return DUNLIN_E_ARGUMENT;
    memset(self, 0, sizeof *self);
    d->port = *port;
    d->config = *config;
    d->loaded = DL_NO_SLOT;
    rc = check_layout(port);
    if (!rc)
        rc = dl_store_open(&d->store, port->flash, port->board, port->layout.store, port->layout.store_size);
    if (rc)
        return rc;
    d->clock_ms = d->second_ms = port->board->uptime_ms(port->board->ctx);
    d->now_ms = d->work.pause_until = (uint32_t)d->clock_ms;
    dl_journal_load(d);
    if (d->identity.enrolled && d->claim.device[0]) /* power failed before it was forgotten */
        (void)dl_claim_forget(d);
    d->boots++;
    d->lived = d->lived_kept = d->followed.lived += DL_BOOT_S;
    entropy = make_nonce(d, nonce);
    dl_transfer_open(&d->link, port->pipe, d->identity.device, d->identity.enrolled, nonce);
    d->link.now = d->link.hello_due = d->report_at_ms = d->events_due_ms = d->enrol_at_ms = d->now_ms;
    d->work.key_payload = 0xff;
    if (!dl_save(d, DL_KEY_BOOTS, true) && !dl_save(d, DL_KEY_FOLLOWED, true))
        (void)dl_event(d, DL_EVENT_BOOT, 0, NULL, false);
    if (!entropy)
        dl_fault(d, DUNLIN_E_ENTROPY);
    rc = find_keys(d);
    if (rc)
        return rc;
    find_runtime(d);
    d->settings_due = true;
    dl_feed(d, DL_ON_BOOT, NULL, 0);
    if (d->store.broken && d->state.serving != DL_NO_SLOT)
        d->todo |= DL_DO_SERVE; /* a trial cannot be counted: what is known to be good serves */
    if (d->wipe.underway && d->wipe.erase)
        return DUNLIN_OK;
    while (d->todo & (DL_DO_UNLOAD | DL_DO_SERVE | DL_DO_LOAD | DL_DO_TEST))
        (void)dl_serve_step(d);
    dl_reconcile(d);
    return DUNLIN_OK;
}

int dunlin_open(struct dunlin *self, const struct dunlin_port *port, const struct dunlin_config *config)
{
    return -start(self, port, config);
}

/* ---- step ------------------------------------------------------------------------------------------------------ */

/* The lease counts from the last directive that was accepted, in seconds that the device ran. */
static bool lease_over(const struct dl_device *d)
{
    return d->followed.has_model && d->lived - d->followed.lease_at > d->desired.lease_s;
}

static bool lease_step(struct dl_device *d)
{
    if (!lease_over(d) || d->followed.lease_said || d->store.broken)
        return false;
    d->followed.lease_said = 1;
    d->followed.lived = d->lived_kept = d->lived;
    if (!dl_event(d, DL_EVENT_LEASE_EXPIRED, DUNLIN_E_LEASE, d->desired.release, true))
        (void)dl_save(d, DL_KEY_FOLLOWED, false);
    return true;
}

static bool connect_step(struct dl_device *d)
{
    if (!d->link.connected)
        return false;
    d->link.connected = false;
    d->report_due = true;
    /* Moments that passed long ago would seem to lie ahead once the clock has wrapped. */
    d->work.pause_until = d->named_at_ms = d->enrol_at_ms = d->now_ms;
    dl_events_again(d);
    return true;
}

int dunlin_step(struct dunlin *self)
{
    struct dl_device *d;
    bool linked;

    if (!self)
        return -DUNLIN_E_ARGUMENT;
    d = inner(self);
    dl_kick(d);
    if (dl_clock_step(d))
        return 1;
    linked = dl_transfer_step(&d->link, d->now_ms);
    return connect_step(d) || dl_wipe_step(d) || dl_message_step(d) || dl_serve_step(d) || dl_erase_step(d) ||
           dl_fetch_step(d) || dl_enrol_step(d) || dl_events_step(d) || dl_report_step(d) || lease_step(d) || linked;
}

/* ---- for the application --------------------------------------------------------------------------------------- */

static int infer(struct dl_device *d, const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs,
                 size_t output_count)
{
    bool trial = d->state.phase == DUNLIN_PROBATION;
    int rc;

    if (d->state.phase >= DUNLIN_STAGED && d->state.phase <= DUNLIN_TESTING && !d->store.broken)
        return DUNLIN_E_AGAIN;
    if (d->loaded == DL_NO_SLOT || (d->wipe.underway && d->wipe.erase))
        return DUNLIN_E_NO_MODEL;
    if (d->desired.lease_action == DL_LEASE_STOP && lease_over(d))
        return DUNLIN_E_LEASE;
    rc = dl_infer_run(inputs, input_count, outputs, output_count);
    if (!rc) {
        d->served++;
        d->trial_served += trial;
    } else if (trial && rc != DUNLIN_E_ARGUMENT) {
        d->trial_failed = true;
    }
    return rc;
}

int dunlin_infer(struct dunlin *self, const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs,
                 size_t output_count)
{
    return -infer(inner(self), inputs, input_count, outputs, output_count);
}

void dunlin_status(const struct dunlin *self, struct dunlin_status *status)
{
    const struct dl_device *d = (const struct dl_device *)(const void *)self->memory;

    memset(status, 0, sizeof *status);
    memcpy(status->device, d->identity.device, sizeof status->device);
    memcpy(status->model, d->desired.model, sizeof status->model);
    status->phase = (enum dunlin_phase)d->state.phase;
    status->error = d->state.error;
    status->serving_slot = d->loaded == DL_NO_SLOT ? -1 : d->loaded;
    if (d->loaded != DL_NO_SLOT)
        memcpy(status->serving, d->state.release[d->loaded], DUNLIN_DIGEST);
    if (d->state.phase == DUNLIN_DOWNLOADING && d->work.stage >= DL_WORK_ERASE) {
        status->chunks_have = d->work.have;
        status->chunks_need = d->slot.chunks;
    }
    status->served = d->served;
    status->arena_used = d->arena_used;
    status->input_count = d->input_count;
    status->output_count = d->output_count;
    memcpy(status->input_bytes, d->input_bytes, sizeof status->input_bytes);
    status->self_test = d->self_test;
    status->boots = d->boots;
    status->bad_frames = d->link.decoder.bad;
}
