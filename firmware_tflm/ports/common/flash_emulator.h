/* NOR-like flash in plain memory, for the host port, QEMU and tests: keeps the rules that real flash has, and loses power
 * where it is told to.
 *
 * One operation is one sector erased, or one call of `program`. A write unit that is not erased must not be programmed:
 * that is a mistake of the core, and `fault` hears of it. Power loss at operation N: half of that operation is done, one
 * write unit (or byte, when erasing) is left in between, and `power_cut` is called. Where that returns, the power was there
 * after all, and the rest of the operation is done. */
#ifndef DUNLIN_FLASH_EMULATOR_H
#define DUNLIN_FLASH_EMULATOR_H

#include <stdbool.h>

#include "dunlin/port.h"

struct flash_emulator {
    uint8_t *base;
    uint32_t size, sector, write;
    uint32_t operations; /* done so far; `cut_at` counts from 1 */
    uint32_t cut_at;     /* 0: never */
    uint32_t erased_sectors, programmed_bytes;
    bool read_only;          /* every operation fails */
    uint32_t worn, worn_end; /* sectors at offsets worn .. worn_end - 1 claim success and keep what they hold */
    void (*power_cut)(void *ctx);
    void (*fault)(void *ctx, const char *what, uint32_t offset);
    void *ctx;
};

/* dunlin_flash's functions; `self` is the emulator. */
int flash_emulator_erase(void *self, uint32_t offset, uint32_t length);
int flash_emulator_program(void *self, uint32_t offset, const uint8_t *data, uint32_t length);

/* A dunlin_flash over the emulator. */
struct dunlin_flash flash_emulator_flash(struct flash_emulator *emulator);

#endif
