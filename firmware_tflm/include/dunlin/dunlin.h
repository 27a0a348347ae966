/* Dunlin for microcontrollers: keeps one signed model right, on a device with 256 KB of RAM.
 *
 *     static struct dunlin device;                  // all the memory that the core uses
 *     static uint8_t arena[64 * 1024];              // the interpreter's
 *
 *     psa_crypto_init();
 *     dunlin_open(&device, &port, &config);
 *     for (;;) {
 *         dunlin_step(&device);                     // a bounded piece of work: a frame, a signature, a flash sector
 *         if (have_sample())
 *             dunlin_infer(&device, &inputs, 1, &outputs, 1);
 *     }
 *
 * Not reentrant: one thread calls everything. */
#ifndef DUNLIN_H
#define DUNLIN_H

#include "dunlin/contract.h"
#include "dunlin/error.h"
#include "dunlin/port.h"

struct dunlin_config {
    const char *agent_version; /* of the application, shown to operators; at most 64 characters */
    uint8_t *arena;            /* for the interpreter, aligned to 16 bytes */
    uint32_t arena_size;
};

enum dunlin_phase { /* as in the contract's `reported` */
    DUNLIN_IDLE,
    DUNLIN_PLANNED,
    DUNLIN_DOWNLOADING,
    DUNLIN_VERIFIED,
    DUNLIN_STAGED,
    DUNLIN_LOADED,
    DUNLIN_TESTING,
    DUNLIN_TRIAL, /* never here */
    DUNLIN_PROBATION,
    DUNLIN_COMMITTED,
    DUNLIN_ROLLED_BACK,
    DUNLIN_REFUSED
};

struct dunlin_self_test {
    uint32_t count; /* golden self-tests since boot; the rest is of the last one */
    int slot, error;
    uint8_t release[DUNLIN_DIGEST];
    uint32_t slowest_us;
};

struct dunlin_status {
    char device[DUNLIN_DEVICE + 1]; /* empty: not enrolled */
    char model[DUNLIN_NAME + 1];    /* empty: none */
    enum dunlin_phase phase;
    int error;                      /* why the last update ended, 0 if it did well */
    int serving_slot;               /* 0, 1, or -1: nothing serves */
    uint8_t serving[DUNLIN_DIGEST]; /* its release */
    uint32_t chunks_have, chunks_need;
    uint64_t served;
    uint32_t arena_used;
    uint32_t boots;
    uint32_t bad_frames;
    uint32_t input_count, output_count, input_bytes[DUNLIN_TENSORS]; /* of the loaded model, in the runtime's order */
    struct dunlin_self_test self_test;
};

struct dunlin; /* complete type in dunlin/state.h, so that the caller can own one */

/* Read the flash, find or make the keys, and make the best model that is there serve.
 * Returns 0, or minus the code of what keeps the device from working at all: FLASH_LAYOUT, KEYSTORE, ENTROPY, FLASH,
 * ARGUMENT.
 * A device that merely has no model, or is not enrolled, opens well. */
int dunlin_open(struct dunlin *d, const struct dunlin_port *port, const struct dunlin_config *config);

/* Do one bounded piece of work. Returns 1 if there was something to do, 0 if idle, -ARGUMENT without a
 * device: what goes wrong inside becomes a numbered event. Call it at least every 10 ms while a transfer runs. */
int dunlin_step(struct dunlin *d);

/* Run the serving model. Inputs have the sizes of the model's tensors, in the runtime's order, and are copied; outputs
 * become spans into the arena, good until the next call of dunlin_infer() or dunlin_step(). Counted in probation.
 * Returns 0, or minus NO_MODEL, LEASE, ARGUMENT, INVOKE, NO_RUNTIME, AGAIN (a candidate is just being tested). */
int dunlin_infer(struct dunlin *d, const struct dunlin_span *inputs, size_t input_count, struct dunlin_span *outputs,
                 size_t output_count);

void dunlin_status(const struct dunlin *d, struct dunlin_status *status);

#include "dunlin/state.h"

#endif
