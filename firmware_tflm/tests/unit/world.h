/* A device and a gateway in one process, with a clock of their own: nothing waits, everything can be repeated.
 *
 * The flash is shared memory, so that a child process may lose power in the middle of an operation and another one
 * boots from what it left. */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>

#include "check.h"
#include "device/link.h"
#include "dunlin/dunlin.h"
#include "flash_emulator.h"

enum { WORLD_FLASH = 512 * 1024, WORLD_KEYS = 32 * 1024, WORLD_STORE = 64 * 1024, WORLD_SLOT = 128 * 1024 };
enum { WORLD_UPS = 64, WORLD_UP_BYTES = 4096, WORLD_END_CUT = 75 };

struct world {
    struct flash_emulator flash;
    struct dunlin device;
    uint64_t now_ms;
    int64_t unix_time;
    bool no_random, clock_stopped;
    uint32_t noise;      /* one byte in so many is damaged, lost or doubled; 0: none */
    bool withhold;       /* the gateway has no objects */
    bool repeat;         /* the gateway sends every frame twice */
    bool reorder;        /* the gateway sends the frames of an answer backwards */
    uint32_t spoil_chunk; /* the gateway changes this many chunks (whole objects of more than 1 KiB) */
    uint32_t spoil_page; /* and this many answers out of an index page (objects of whole leaves) */
    bool acknowledge;    /* the server acknowledges every event at once */
    bool acknowledge_other; /* in the name of another device */
    bool unplugged;      /* the line takes nothing */
    bool computes_wrong; /* the interpreter */
    bool predict;        /* the application asks the model now and then */
    bool predict_fails;
    unsigned up_count;   /* messages from the device */
    struct {
        uint8_t kind;
        size_t size;
        uint8_t data[WORLD_UP_BYTES];
    } up[WORLD_UPS];
};
extern struct world world;

/* Folder of make_fixture.py (NULL: the last one); blank flash; keys of the fixture in the key store. */
void world_start(const char *fixture, uint32_t sector, uint32_t write);
/* Power on: gives what dunlin_open() does. Messages and clock of the world begin anew. */
int world_boot(void);
/* The gateway has this message of the fixture to offer. */
void world_offer(uint8_t kind, const char *name);
void world_offer_bytes(uint8_t kind, const uint8_t *data, size_t size);
/* Run until `until` holds; false after `most_s` seconds of the world's clock. */
bool world_run(bool (*until)(void), unsigned most_s);
void world_run_for(unsigned seconds);
void world_tick(void); /* one step of the device, one of the gateway */
void world_away_for(unsigned days); /* nobody is at the other end of the line */
bool world_is_phase(enum dunlin_phase phase);
/* Whether the release of that name serves, and answers as it must. */
bool world_serves(const char *release);
/* How many events told of `kind` with `code` in them (either may be NULL). */
unsigned world_events(const char *kind, const char *code);
bool world_enrolled(void);
bool world_settled(void); /* committed, rolled back, refused */
struct dunlin_status world_status(void);
/* Bytes of a file of the fixture. */
struct dunlin_span world_file(const char *name);

/* Enrol, and commit release "one"; the same on a device that is new. */
void world_commit_one(void);
void world_fresh(void);
/* Offer a directive and run for some seconds, with the messages that came up before forgotten. */
void world_follow(const char *directive, unsigned seconds);
bool world_committed_two(void);
/* Whether these bytes lie anywhere in flash. */
bool world_in_flash(const void *bytes, size_t size);

/* Run the tests, or those with argv[2] in their name, with the fixture in argv[1]. */
struct world_test {
    const char *name;
    void (*run)(void);
};
int world_tests(int argc, char **argv, const struct world_test *tests, size_t count);

#endif
