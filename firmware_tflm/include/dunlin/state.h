/* The complete type of struct dunlin: memory that the caller owns. What lies in it is src/device/device.h's. */
#ifndef DUNLIN_STATE_H
#define DUNLIN_STATE_H

#include <stdint.h>

/* Checked against the inner type by the compiler; a host's pointers and hash states are larger. */
#if UINTPTR_MAX > UINT32_MAX
#define DUNLIN_STATE_BYTES (15 * 1024)
#else
#define DUNLIN_STATE_BYTES (14 * 1024 + 256)
#endif

struct dunlin {
    uint64_t memory[DUNLIN_STATE_BYTES / sizeof(uint64_t)];
};

#endif
