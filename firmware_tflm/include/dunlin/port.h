/* What a board gives: flash, a byte pipe to the gateway, a clock, a reset. Randomness and keys come through the PSA
 * Crypto API (the board's crypto library is set up before dunlin_open(); see the README, "Porting").
 *
 * All calls come from the thread that calls dunlin_step(). `ctx` is passed back as it was given. */
#ifndef DUNLIN_PORT_H
#define DUNLIN_PORT_H

#include <stddef.h>
#include <stdint.h>

/* Memory-mapped NOR-like flash. Offsets count from `base`. Erased bytes read 0xff; a write unit is programmed at most
 * once between two erasures. Power may fail inside any call: the unit or sector in hand then reads as anything, and a
 * unit that reads erased is taken for one. */
struct dunlin_flash {
    const uint8_t *base;  /* where offset 0 is mapped; the core reads, and models run, in place */
    uint32_t size;        /* bytes */
    uint32_t sector;      /* bytes erased at a time: a power of two, 512 .. 131072 */
    uint32_t write;       /* bytes of a write unit: a power of two, 1 .. 32 */
    void *ctx;
    /* 0, or negative. Offsets and lengths are whole sectors, whole write units. Must return after the bytes are there. */
    int (*erase)(void *ctx, uint32_t offset, uint32_t length);
    int (*program)(void *ctx, uint32_t offset, const uint8_t *data, uint32_t length);
};

/* A byte pipe: UART, USB CDC, a socket. Never blocks. */
struct dunlin_pipe {
    void *ctx;
    size_t (*read)(void *ctx, uint8_t *data, size_t room);           /* bytes that have arrived, 0 if none */
    size_t (*write)(void *ctx, const uint8_t *data, size_t length);  /* bytes taken, possibly fewer */
};

struct dunlin_board {
    void *ctx;
    uint64_t (*uptime_ms)(void *ctx);  /* since boot; never backwards */
    int64_t (*unix_time)(void *ctx);   /* seconds; 0 where there is no clock. Reported, never believed */
    void (*kick)(void *ctx);           /* the watchdog: called at least once a flash sector, chunk or signature */
    void (*log)(void *ctx, const char *line); /* one line for people, without newline; may be NULL */
    /* what the server and the packager compare models with (contract, device-description) */
    const char *hardware_class; /* 1 .. 64 characters, such as "cortex-m4" or the board's name */
    const char *arch;           /* such as "armv7e-m" */
    uint32_t memory;            /* RAM, bytes */
    const char *keystore;       /* where PSA keys lie: "flash", "tpm2", "pkcs11" (secure element, TF-M), "file" */
};

/* Where the core keeps things in flash: whole sectors, not overlapping. */
struct dunlin_layout {
    uint32_t store, store_size;   /* journal of the core: two areas, each at least 16 KiB */
    uint32_t slot[2], slot_size;  /* two slots for the model */
};

struct dunlin_port {
    const struct dunlin_flash *flash;
    const struct dunlin_pipe *pipe;
    const struct dunlin_board *board;
    struct dunlin_layout layout;
    /* PSA key identifiers (psa_key_id_t) for the identity and the two generations of the KEM key: persistent keys */
    uint32_t identity_key, kem_key[2];
};

#endif
