#define _GNU_SOURCE
#include "world.h"

#include <psa/crypto.h>
#include <string.h>
#include <sys/mman.h>

#include "its_store.h"
#include "world_parts.h"

enum { STEPS_A_MS = 4 };

struct world world;

static struct dunlin_flash flash;

/* ---- running --------------------------------------------------------------------------------------------------- */

void world_start(const char *fixture, uint32_t sector, uint32_t write)
{
    if (fixture)
        world_fixture(fixture);
    memset(&world, 0, sizeof world);
    world_gateway_start();
    world.unix_time = 1900000000;
    world.flash = (struct flash_emulator){
        .size = WORLD_FLASH, .sector = sector, .write = write, .power_cut = world_power_cut, .fault = world_flash_fault,
    };
    world.flash.base = mmap(NULL, WORLD_FLASH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world.flash.base != MAP_FAILED);
    memset(world.flash.base, 0xff, WORLD_FLASH);
    world_load_objects();
    flash = flash_emulator_flash(&world.flash);
    CHECK(its_store_open(&flash, &world_board, 0, WORLD_KEYS) == 0 && psa_crypto_init() == PSA_SUCCESS);
    world_import_keys();
}

int world_boot(void)
{
    static uint8_t arena[4096] __attribute__((aligned(16)));
    const struct dunlin_config config = {.agent_version = "test", .arena = arena, .arena_size = sizeof arena};
    const struct dunlin_port port = {
        .flash = &flash, .pipe = &world_pipe, .board = &world_board,
        .layout = {.store = WORLD_KEYS, .store_size = WORLD_STORE, .slot_size = WORLD_SLOT,
                   .slot = {WORLD_FLASH - 2 * WORLD_SLOT, WORLD_FLASH - WORLD_SLOT}},
        .identity_key = 1, .kem_key = {2, 3},
    };

    world.now_ms = 0;
    world.up_count = 0;
    world_line_clear();
    world_gateway_boot();
    mbedtls_psa_crypto_free();
    (void)its_store_open(&flash, &world_board, 0, WORLD_KEYS);
    (void)psa_crypto_init();
    return dunlin_open(&world.device, &port, &config);
}

static void predict(void)
{
    static const uint8_t image[4] = {1, 2, 3, 4};
    struct dunlin_span input = {world.predict_fails ? (const uint8_t *)"FAIL" : image, sizeof image}, output;

    (void)dunlin_infer(&world.device, &input, 1, &output, 1);
}

bool world_run(bool (*until)(void), unsigned most_s)
{
    uint64_t end = world.now_ms + 1000u * (uint64_t)most_s;
    unsigned step, busy;

    while (!until()) {
        if (world.now_ms >= end)
            return false;
        for (step = 0; step < STEPS_A_MS; step++) {
            busy = (unsigned)dunlin_step(&world.device);
            world_gateway_step();
            if (!busy)
                break;
        }
        world.now_ms += step == STEPS_A_MS ? 1 : 5;
        if (world.predict && world.now_ms % 50 < 5)
            predict();
    }
    return true;
}

void world_tick(void)
{
    (void)dunlin_step(&world.device);
    world_gateway_step();
    world.now_ms++;
}

void world_away_for(unsigned days)
{
    uint64_t begin = world.now_ms, end = begin + days * 86400000ull;

    for (; world.now_ms < end; world.now_ms += world.now_ms < begin + 60000 ? 50 : 20000) {
        (void)dunlin_step(&world.device);
        world_line_clear();
    }
    world.up_count = 0;
}

static bool never(void) { return false; }

void world_run_for(unsigned seconds) { (void)world_run(never, seconds); }

/* ---- asking ---------------------------------------------------------------------------------------------------- */

struct dunlin_status world_status(void)
{
    struct dunlin_status status;

    dunlin_status(&world.device, &status);
    return status;
}

bool world_is_phase(enum dunlin_phase phase) { return world_status().phase == phase; }

bool world_enrolled(void)
{
    unsigned i;

    for (i = 0; i < world.up_count; i++)
        if (world.up[i].kind == DL_UP_REPORTED)
            return true;
    return false;
}

bool world_settled(void)
{
    enum dunlin_phase phase = world_status().phase;

    return phase == DUNLIN_COMMITTED || phase == DUNLIN_ROLLED_BACK || phase == DUNLIN_REFUSED;
}

bool world_serves(const char *release)
{
    static const uint8_t image[4] = {9, 8, 7, 6};
    struct dunlin_span input = {image, sizeof image}, output, digest;
    struct dunlin_status status = world_status();
    char name[64];

    (void)snprintf(name, sizeof name, "%s.digest", release);
    digest = world_file(name);
    return status.serving_slot >= 0 && memcmp(status.serving, digest.data, DUNLIN_DIGEST) == 0 &&
           status.self_test.count > 0 && status.self_test.error == 0 &&
           dunlin_infer(&world.device, &input, 1, &output, 1) == 0;
}

static bool holds(const uint8_t *data, size_t size, const char *text)
{
    return !text || memmem(data, size, text, strlen(text)) != NULL;
}

unsigned world_events(const char *kind, const char *code)
{
    unsigned i, count = 0;

    for (i = 0; i < world.up_count; i++)
        count += world.up[i].kind == DL_UP_EVENTS && holds(world.up[i].data, world.up[i].size, kind) &&
                 holds(world.up[i].data, world.up[i].size, code);
    return count;
}

bool world_committed_two(void) { return world_is_phase(DUNLIN_COMMITTED) && world_serves("two"); }

bool world_in_flash(const void *bytes, size_t size)
{
    return memmem(world.flash.base, WORLD_FLASH, bytes, size) != NULL;
}

/* ---- what many tests begin with -------------------------------------------------------------------------------- */

void world_commit_one(void)
{
    CHECK_CODE(world_boot(), 0);
    world.predict = true;
    world_offer(DL_OFFER_CLAIM, "claim");
    world_offer(DL_OFFER_ENROL, "reply");
    CHECK(world_run(world_enrolled, 20));
    world_offer(DL_OFFER_DESIRED, "one");
    world_run_for(1);
    CHECK(world_run(world_settled, 60));
    CHECK(world_is_phase(DUNLIN_COMMITTED) && world_serves("one"));
}

void world_fresh(void)
{
    world_start(NULL, 4096, 8);
    world_commit_one();
}

void world_follow(const char *directive, unsigned seconds)
{
    world.up_count = 0;
    world_offer(DL_OFFER_DESIRED, directive);
    world_run_for(seconds);
}

int world_tests(int argc, char **argv, const struct world_test *tests, size_t count)
{
    size_t i;

    CHECK(argc >= 2);
    world_fixture(argv[1]);
    for (i = 0; i < count; i++) {
        if (argc > 2 && !strstr(tests[i].name, argv[2]))
            continue;
        (void)printf("%s\n", tests[i].name);
        (void)fflush(stdout);
        tests[i].run();
    }
    return 0;
}
