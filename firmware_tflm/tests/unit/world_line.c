/* The world's line: two rings of bytes, and the noise on them. */
#include "world_parts.h"

enum { PIPE = 64 * 1024 };

struct ring {
    uint8_t data[PIPE];
    size_t from, size;
};
static struct ring to_device, to_gateway;

static void put(struct ring *ring, const uint8_t *data, size_t size)
{
    static uint32_t seed = 1;

    for (; size > 0 && ring->size < PIPE; data++, size--) {
        uint8_t byte = *data;

        if (world.noise) {
            seed = seed * 1664525u + 1013904223u;
            if ((seed >> 8) % world.noise == 0) {
                if (seed >> 31)
                    continue;
                byte = (uint8_t)(seed >> 16);
            }
        }
        ring->data[(ring->from + ring->size++) % PIPE] = byte;
    }
}

static size_t take(struct ring *ring, uint8_t *data, size_t room)
{
    size_t i;

    for (i = 0; i < room && ring->size > 0; i++, ring->size--) {
        data[i] = ring->data[ring->from];
        ring->from = (ring->from + 1) % PIPE;
    }
    return i;
}

static size_t pipe_read(void *ctx, uint8_t *data, size_t room)
{
    (void)ctx;
    return take(&to_device, data, room);
}

static size_t pipe_write(void *ctx, const uint8_t *data, size_t length)
{
    (void)ctx;
    if (world.unplugged)
        return 0;
    if (length > 100)
        length = 100; /* a small FIFO */
    put(&to_gateway, data, length);
    return length;
}

const struct dunlin_pipe world_pipe = {.read = pipe_read, .write = pipe_write};

void world_line_send(const uint8_t *data, size_t size) { put(&to_device, data, size); }

bool world_line_take(uint8_t *byte) { return take(&to_gateway, byte, 1) == 1; }

void world_line_clear(void) { to_device.size = to_gateway.size = 0; }
