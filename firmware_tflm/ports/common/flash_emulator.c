#include "flash_emulator.h"

#include <string.h>

#define BETWEEN 0x55 /* bits that an interrupted operation has not changed yet */

static int bad_range(const struct flash_emulator *e, uint32_t offset, uint32_t length, uint32_t unit, const char *what)
{
    if (length != 0 && offset % unit == 0 && length % unit == 0 && length <= e->size && offset <= e->size - length)
        return 0;
    e->fault(e->ctx, what, offset);
    return -1;
}

static bool cut_now(struct flash_emulator *e)
{
    e->operations++;
    return e->operations == e->cut_at;
}

static bool is_worn(const struct flash_emulator *e, uint32_t offset)
{
    return offset >= e->worn && offset < e->worn_end;
}

int flash_emulator_erase(void *self, uint32_t offset, uint32_t length)
{
    struct flash_emulator *e = self;
    uint32_t end = offset + length;

    if (bad_range(e, offset, length, e->sector, "erase of something other than whole sectors"))
        return -1;
    if (e->read_only)
        return -1;
    for (; offset < end; offset += e->sector) {
        if (is_worn(e, offset))
            continue;
        if (cut_now(e)) {
            memset(e->base + offset, 0xff, e->sector / 2);
            e->base[offset + e->sector / 2] |= BETWEEN;
            e->power_cut(e->ctx);
        }
        memset(e->base + offset, 0xff, e->sector);
        e->erased_sectors++;
    }
    return 0;
}

int flash_emulator_program(void *self, uint32_t offset, const uint8_t *data, uint32_t length)
{
    struct flash_emulator *e = self;
    uint32_t at, half;

    if (bad_range(e, offset, length, e->write, "program of something other than whole write units"))
        return -1;
    if (e->read_only)
        return -1;
    if (is_worn(e, offset / e->sector * e->sector))
        return 0;
    for (at = 0; at < length; at++)
        if (e->base[offset + at] != 0xff) {
            e->fault(e->ctx, "program of a write unit that is not erased", offset + at);
            return -1;
        }
    if (cut_now(e)) {
        half = length / e->write / 2 * e->write;
        memcpy(e->base + offset, data, half);
        for (at = half; at < half + e->write; at++)
            e->base[offset + at] &= (uint8_t)(data[at] | BETWEEN);
        e->power_cut(e->ctx);
    }
    memcpy(e->base + offset, data, length);
    e->programmed_bytes += length;
    return 0;
}

struct dunlin_flash flash_emulator_flash(struct flash_emulator *emulator)
{
    struct dunlin_flash flash = {
        .base = emulator->base,
        .size = emulator->size,
        .sector = emulator->sector,
        .write = emulator->write,
        .ctx = emulator,
        .erase = flash_emulator_erase,
        .program = flash_emulator_program,
    };
    return flash;
}
