/* The world's board: its clock, its randomness, its log, and what happens when its flash fails. */
#include "world_parts.h"

#include <unistd.h>

#include "random.h"

int board_random(uint8_t *out, size_t size)
{
    static uint32_t seed = 7;

    if (world.no_random)
        return -1;
    while (size--) {
        seed = seed * 1664525u + 1013904223u;
        *out++ = (uint8_t)(seed >> 24);
    }
    return 0;
}

static uint64_t uptime(void *ctx)
{
    (void)ctx;
    return world.clock_stopped ? 0 : world.now_ms;
}

static int64_t unix_time(void *ctx)
{
    (void)ctx;
    return world.unix_time;
}

static void kick(void *ctx) { (void)ctx; }

static void say(void *ctx, const char *line)
{
    (void)ctx;
    if (getenv("WORLD_LOG"))
        (void)fprintf(stderr, "%8llu %s\n", (unsigned long long)world.now_ms, line);
}

void world_power_cut(void *ctx)
{
    (void)ctx;
    _exit(WORLD_END_CUT);
}

void world_flash_fault(void *ctx, const char *what, uint32_t offset)
{
    (void)ctx;
    (void)fprintf(stderr, "flash: %s at %#x\n", what, (unsigned)offset);
    abort();
}

const struct dunlin_board world_board = {
    .uptime_ms = uptime, .unix_time = unix_time, .kick = kick, .log = say,
    .hardware_class = "test-board", .arch = "test", .memory = 256 * 1024, .keystore = "flash",
};
