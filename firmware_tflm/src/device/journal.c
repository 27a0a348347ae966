#include <string.h>

#include "device/device.h"

#define HOUR_S 3600
#define SLEEP_MS ((1ull << 35) - 1) /* longer sleep counts as this: a year */
#define STILL_STEPS 50000u /* without a millisecond: the fastest processor takes several for so many */

/* Records that are a part of struct dl_device as it stands. */
static const struct {
    uint16_t key, offset, size;
} records[] = {
#define RECORD(key, member) {key, offsetof(struct dl_device, member), sizeof((struct dl_device *)0)->member}
    RECORD(DL_KEY_IDENTITY, identity), RECORD(DL_KEY_CLAIM, claim), RECORD(DL_KEY_BOOTS, boots),
    RECORD(DL_KEY_FOLLOWED, followed), RECORD(DL_KEY_DESIRED, desired), RECORD(DL_KEY_STATE, state),
    RECORD(DL_KEY_STREAM, stream),     RECORD(DL_KEY_WIPE, wipe),
#undef RECORD
};
enum { RECORDS = sizeof records / sizeof records[0] };

void dl_journal_load(struct dl_device *d)
{
    struct dunlin_span record;
    unsigned i;

    dl_state_init(&d->state);
    for (i = 0; i < RECORDS; i++) {
        record = dl_store_get(&d->store, records[i].key);
        if (record.size == records[i].size)
            memcpy((uint8_t *)d + records[i].offset, record.data, record.size);
    }
    d->lived = d->lived_kept = d->followed.lived;
    record = dl_store_get(&d->store, DL_KEY_ROOT);
    if (record.size)
        (void)dl_sha256(record, d->root_name);
    dl_settings_load(d);
    dl_events_load(d);
}

int dl_journal(struct dl_device *d, uint16_t key, const void *data, size_t size, bool more)
{
    int rc = dl_store_put(&d->store, key, data, size, more);

    if (rc)
        dl_fault(d, rc);
    return rc;
}

int dl_save(struct dl_device *d, uint16_t key, bool more)
{
    unsigned i = 0;

    while (records[i].key != key)
        i++;
    return dl_journal(d, key, (const uint8_t *)d + records[i].offset, records[i].size, more);
}

int dl_drop(struct dl_device *d, uint16_t key, bool more)
{
    return dl_journal(d, key, NULL, 0, more);
}

uint64_t dl_wall_clock(const struct dl_device *d)
{
    int64_t wall = d->port.board->unix_time(d->port.board->ctx);

    return wall > 0 ? (uint64_t)wall : 0;
}

static bool clock_wrong(struct dl_device *d)
{
    if (d->clock_said)
        return false;
    d->clock_said = true;
    dl_fault(d, DUNLIN_E_CLOCK);
    return true;
}

static bool is_to_be_kept(const struct dl_device *d)
{
    uint32_t since = d->lived - d->lived_kept;

    return since >= HOUR_S || (since >= 2 * DL_BOOT_S && since >= d->uptime_s / 2);
}

/* Time goes on by what the board says, but never back. */
bool dl_clock_step(struct dl_device *d)
{
    uint64_t now = d->port.board->uptime_ms(d->port.board->ctx), passed = now - d->second_ms, wall;
    uint32_t seconds;

    if (now == d->clock_ms)
        return ++d->still == STILL_STEPS && clock_wrong(d);
    if (now < d->clock_ms)
        return clock_wrong(d);
    d->clock_ms = now;
    d->now_ms = (uint32_t)now;
    d->still = 0;
    if (passed > SLEEP_MS)
        passed = SLEEP_MS;
    seconds = (uint32_t)(passed >> 3) / 125u; /* a division of 64 bits would cost code */
    d->second_ms = now - (passed - 1000 * (uint64_t)seconds);
    d->lived += seconds;
    d->uptime_s += seconds;
    wall = dl_wall_clock(d);
    if (wall && wall < d->followed.time_floor && clock_wrong(d))
        return true;
    if (!is_to_be_kept(d) || d->store.broken)
        return false;
    d->lived_kept = d->followed.lived = d->lived;
    (void)dl_save(d, DL_KEY_FOLLOWED, false);
    return true;
}

void dl_log(const struct dl_device *d, const char *what, int code)
{
    const struct dunlin_board *board = d->port.board;

    if (!board->log)
        return;
    board->log(board->ctx, what);
    if (code)
        board->log(board->ctx, dunlin_reason(code));
}

int dl_root_in_force(const struct dl_device *d, struct dl_root *root)
{
    struct dunlin_span envelope = dl_store_get(&d->store, DL_KEY_ROOT);

    return envelope.size ? dl_root_open_known(envelope, root) : DUNLIN_E_NOT_ENROLLED;
}
