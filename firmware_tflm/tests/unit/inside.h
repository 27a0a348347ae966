/* What lies in struct dunlin, for tests that look there or put something there. */
#ifndef INSIDE_H
#define INSIDE_H

#include "device/device.h"
#include "world.h"

static inline struct dl_device *inside(void)
{
    return (struct dl_device *)(void *)world.device.memory;
}

/* Where a slot begins in the world's flash. */
static inline uint8_t *slot_at(unsigned slot)
{
    return world.flash.base + WORLD_FLASH - (2 - slot) * WORLD_SLOT;
}

/* Step until `until` holds, without anything happening behind it. */
static inline void step_until(bool (*until)(void))
{
    unsigned steps;

    for (steps = 0; !until(); steps++) {
        CHECK(steps < 400000);
        world_tick();
    }
}

#endif
