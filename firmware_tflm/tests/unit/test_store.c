/* The journal: what was put is there, whatever is interrupted, for every write unit. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <string.h>

#include "check.h"
#include "device/store.h"
#include "flash_emulator.h"

enum { SECTOR = 512, AREA = 2048, FLASH = 2 * AREA, KEYS = 4, ROUNDS = 60 };

static uint8_t memory[FLASH];
static struct flash_emulator emulator;
static struct dunlin_flash flash;
static jmp_buf dark;

static void power_cut(void *ctx)
{
    (void)ctx;
    longjmp(dark, 1);
}

static void fault(void *ctx, const char *what, uint32_t offset)
{
    (void)ctx;
    (void)fprintf(stderr, "flash: %s at %u\n", what, (unsigned)offset);
    abort();
}

static void blank(uint32_t write)
{
    memset(memory, 0xff, sizeof memory);
    emulator = (struct flash_emulator){.base = memory, .size = FLASH, .sector = SECTOR, .write = write,
                                       .power_cut = power_cut, .fault = fault};
    flash = flash_emulator_flash(&emulator);
}

static uint8_t value_of(unsigned round, unsigned key) { return (uint8_t)(round * 7 + key); }
static size_t size_of(unsigned round, unsigned key) { return (round * 5 + key * 31) % 90 + 1; }

static bool holds(const struct dl_store *store, unsigned key, unsigned round)
{
    struct dunlin_span span = dl_store_get(store, (uint16_t)key);
    size_t i;

    if (round == 0)
        return span.size == 0;
    if (span.size != size_of(round, key))
        return false;
    for (i = 0; i < span.size; i++)
        if (span.data[i] != value_of(round, key))
            return false;
    return true;
}

static int put(struct dl_store *store, unsigned key, unsigned round, bool more)
{
    uint8_t data[128];

    memset(data, value_of(round, key), sizeof data);
    return dl_store_put(store, (uint16_t)key, data, size_of(round, key), more);
}

/* Each round is one transaction over all keys; a scrub now and then. `done`: rounds that were reported done. */
static void work(struct dl_store *store, volatile unsigned *done, unsigned most)
{
    unsigned round, key;

    for (round = *done + 1; round <= most; round++) {
        for (key = 1; key <= KEYS; key++)
            CHECK_CODE(put(store, key, round, key < KEYS), 0);
        *done = round;
        if (round % 13 == 0)
            CHECK_CODE(dl_store_scrub(store, 0), 0);
    }
}

static unsigned round_in(const struct dl_store *store, unsigned done)
{
    unsigned key, round = holds(store, 1, done) ? done : done + 1;

    for (key = 1; key <= KEYS; key++)
        CHECK(holds(store, key, round));
    return round;
}

/* Power fails at operation `cut`, and again at the one after the reboot's first `again`: all keys are of one round. */
static uint32_t cut_run(uint32_t write, uint32_t cut, uint32_t again)
{
    static struct dl_store store;
    static volatile unsigned done;
    static volatile uint32_t next;

    blank(write);
    done = 0;
    next = again;
    emulator.cut_at = cut;
    (void)setjmp(dark); /* every loss of power comes back here */
    if (emulator.cut_at && emulator.operations >= emulator.cut_at) {
        emulator.operations = 0;
        emulator.cut_at = next;
        next = 0;
    }
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    done = round_in(&store, done);
    work(&store, &done, ROUNDS);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK(round_in(&store, ROUNDS) == ROUNDS);
    return emulator.operations;
}

static void survives_power_cuts(void)
{
    uint32_t write, cut, operations;

    for (write = 1; write <= 32; write *= 2) {
        operations = cut_run(write, 0, 0);
        for (cut = 1; cut <= operations; cut++)
            (void)cut_run(write, cut, cut % 5 + 1);
        (void)printf("write unit %u: %u operations, power cut at each\n", (unsigned)write, (unsigned)operations);
    }
}

static void refuses_what_does_not_fit(void)
{
    static uint8_t large[AREA];
    struct dl_store store;

    blank(4);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK_CODE(dl_store_put(&store, 1, "a", 1, false), 0);
    CHECK_CODE(dl_store_put(&store, 2, "b", 1, true), 0);
    CHECK_CODE(dl_store_put(&store, 3, large, sizeof large, false), DUNLIN_E_FULL);
    CHECK(dl_store_get(&store, 2).size == 0); /* its transaction never ended */
    CHECK_CODE(dl_store_put(&store, 4, "d", 1, false), 0);
    CHECK(dl_store_get(&store, 2).size == 0 && dl_store_get(&store, 1).size == 1 && dl_store_get(&store, 4).size == 1);
    CHECK_CODE(dl_store_put(&store, 1, NULL, 0, false), 0);
    CHECK(dl_store_get(&store, 1).size == 0);
    CHECK_CODE(dl_store_put(&store, 0, "a", 1, false), DUNLIN_E_ARGUMENT);
    CHECK_CODE(dl_store_put(&store, 0x8000, "a", 1, false), DUNLIN_E_ARGUMENT);
}

static void forgets_when_scrubbed(void)
{
    static const uint8_t secret[] = "a secret of this device";
    struct dl_store store;

    blank(8);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK_CODE(dl_store_put(&store, 5, secret, sizeof secret, false), 0);
    CHECK_CODE(dl_store_put(&store, 5, NULL, 0, false), 0);
    CHECK_CODE(dl_store_scrub(&store, 0), 0);
    for (size_t i = 0; i + sizeof secret <= sizeof memory; i++)
        CHECK(memcmp(memory + i, secret, sizeof secret) != 0);
}

/* Power fails when the new area is whole, and the old one is not being erased yet. */
static void forgets_at_the_next_open(void)
{
    static const uint8_t secret[] = "a secret of this device";
    static uint8_t before[sizeof memory];
    struct dl_store store;
    unsigned old;

    blank(8);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK_CODE(dl_store_put(&store, 4, "kept", 4, false), 0);
    CHECK_CODE(dl_store_put(&store, 5, secret, sizeof secret, false), 0);
    memcpy(before, memory, sizeof memory);
    old = store.current;
    CHECK_CODE(dl_store_scrub(&store, 5), 0);
    CHECK(store.current != old && dl_store_get(&store, 5).size == 0 && dl_store_get(&store, 4).size == 4);
    memcpy(memory + store.area[old], before + store.area[old], store.area_size);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK(dl_store_get(&store, 5).size == 0 && dl_store_get(&store, 4).size == 4);
    for (size_t i = 0; i + sizeof secret <= sizeof memory; i++)
        CHECK(memcmp(memory + i, secret, sizeof secret) != 0);
}

static void says_when_flash_fails(void)
{
    struct dl_store store;

    blank(8);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK_CODE(dl_store_put(&store, 1, "a", 1, false), 0);
    emulator.read_only = true;
    CHECK_CODE(dl_store_put(&store, 1, "b", 1, false), DUNLIN_E_FLASH);
    CHECK(dl_store_get(&store, 1).data[0] == 'a');
    emulator.read_only = false;
    CHECK_CODE(dl_store_put(&store, 1, "b", 1, false), DUNLIN_E_FLASH); /* not before the next open */
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH), 0);
    CHECK(dl_store_get(&store, 1).data[0] == 'a');
    emulator.worn_end = SECTOR; /* claims success and keeps what it holds */
    CHECK_CODE(dl_store_put(&store, 1, "b", 1, false), DUNLIN_E_FLASH);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, 0, FLASH - SECTOR / 2), DUNLIN_E_FLASH_LAYOUT);
    CHECK_CODE(dl_store_open(&store, &flash, NULL, SECTOR, FLASH), DUNLIN_E_FLASH_LAYOUT);
}

int main(void)
{
    survives_power_cuts();
    refuses_what_does_not_fit();
    forgets_when_scrubbed();
    forgets_at_the_next_open();
    says_when_flash_fails();
    return 0;
}
