/* The device's state for the server: on connecting, on change, and now and then. */
#include <string.h>

#include "device/device.h"

#define CHANGE_MS 1000    /* changes within a second are one report */
#define PROGRESS_MS 10000 /* while chunks arrive */
#define RETRY_MS 30000
#define NUMBERS_LOG2 20   /* reports of one boot */

static const char *const phases[] = {
    [DUNLIN_IDLE] = "idle",           [DUNLIN_PLANNED] = "planned",         [DUNLIN_DOWNLOADING] = "downloading",
    [DUNLIN_VERIFIED] = "verified",   [DUNLIN_STAGED] = "staged",           [DUNLIN_LOADED] = "loaded",
    [DUNLIN_TESTING] = "testing",     [DUNLIN_TRIAL] = "trial",             [DUNLIN_PROBATION] = "probation",
    [DUNLIN_COMMITTED] = "committed", [DUNLIN_ROLLED_BACK] = "rolled-back", [DUNLIN_REFUSED] = "refused",
};

struct dl_description dl_describe(const struct dl_device *d)
{
    const struct dunlin_board *board = d->port.board;
    struct dl_description description = {
        .hardware_class = board->hardware_class,
        .arch = board->arch,
        .keystore = board->keystore,
        .model_store = "plain-flash",
        .memory = board->memory,
        .flash = d->port.layout.slot_size,
        .arena = d->config.arena_size,
        .runtimes = &d->runtime,
        .runtime_count = d->runtime.name != NULL,
    };

    return description;
}

static bool due(const struct dl_device *d)
{
    if (!d->identity.enrolled || !d->link.welcome || d->link.up_kind)
        return false;
    if (dl_due(d->now_ms, d->report_at_ms))
        return true;
    if (d->report_due)
        return d->now_ms - d->report_last_ms >= CHANGE_MS;
    return d->state.phase == DUNLIN_DOWNLOADING && d->now_ms - d->report_last_ms >= PROGRESS_MS;
}

static const uint8_t *release_of(const struct dl_state *s, uint8_t slot)
{
    return slot == DL_NO_SLOT ? NULL : s->release[slot];
}

static void fill_model(const struct dl_device *d, struct dl_model_state *m)
{
    const struct dl_state *s = &d->state;
    uint8_t other = dl_spare(s);

    if (!d->desired.model[0])
        return;
    m->model = d->desired.model;
    m->phase = phases[s->phase];
    m->active = release_of(s, s->serving);
    if (s->serving != DL_NO_SLOT && s->whole >> other & 1 && s->committed >> other & 1)
        m->previous = s->release[other];
    if (s->phase != DUNLIN_COMMITTED && s->phase != DUNLIN_IDLE)
        m->candidate = s->desired;
    if (s->error)
        m->error_code = dunlin_reason(s->error);
    m->variant = d->variant.kind[0] ? d->variant.kind : NULL;
    m->served = d->served;
    if (s->phase == DUNLIN_DOWNLOADING && d->work.stage >= DL_WORK_ERASE) {
        m->chunks_have = d->work.have;
        m->chunks_need = d->slot.chunks;
    }
}

bool dl_report_step(struct dl_device *d)
{
    struct dl_description description = dl_describe(d);
    struct dl_report report;
    struct dl_root root;
    uint32_t jitter = d->boots;
    size_t size;
    int rc;

    if (!due(d) || dl_root_in_force(d, &root))
        return false;
    memset(&report, 0, sizeof report);
    report.epoch = root.epoch;
    report.seq = d->followed.seq;
    report.nonce = d->link.nonce;
    report.missing = (const uint8_t(*)[DUNLIN_DIGEST])d->missing;
    report.missing_count = d->missing_count;
    fill_model(d, &report.model);
    if (d->followed.refused[0])
        report.refused_model = d->followed.refused;
    report.device = &description;
    if (++d->reports >> NUMBERS_LOG2) { /* the next block is another boot's: take one */
        d->boots++;
        d->reports = 1;
        (void)dl_save(d, DL_KEY_BOOTS, false);
    }
    report.number = ((uint64_t)d->boots << NUMBERS_LOG2) + d->reports;
    report.uptime_s = d->uptime_s;
    report.time_s = dl_wall_clock(d);
    report.agent_version = d->config.agent_version;
    report.root_version = root.version;
    rc = dl_report_write(&report, d->port.identity_key, d->link.up, sizeof d->link.up, &size);
    d->report_due = false;
    d->report_last_ms = d->now_ms;
    (void)psa_generate_random((uint8_t *)&jitter, sizeof jitter);
    d->report_at_ms = d->now_ms + (rc ? RETRY_MS : 1000 * (d->settings.report_s + jitter % (d->settings.report_jitter_s + 1)));
    if (!rc)
        dl_up_start(&d->link, DL_UP_REPORTED, size);
    return true;
}
