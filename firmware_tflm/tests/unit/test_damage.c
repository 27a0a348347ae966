/* Flash that rots, wears out or can no longer be written, leaves that nobody signed, an interpreter that computes
 * nonsense, and a crypto library that fails: a good model goes on serving, and what is damaged heals. */
#include <psa/crypto.h>
#include <string.h>

#include "device/flash.h"
#include "inside.h"

static bool crypto_fails;
static unsigned crypto_works; /* so many times more, before it fails */

/* The linker puts these around the crypto library's (tests/unit/CMakeLists.txt). */
psa_status_t __real_psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t size, size_t *length);
psa_status_t __wrap_psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t size, size_t *length);

psa_status_t __wrap_psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t size, size_t *length)
{
    if (!crypto_fails || crypto_works) {
        crypto_works -= crypto_works > 0;
        return __real_psa_hash_finish(operation, hash, size, length);
    }
    (void)psa_hash_abort(operation);
    return PSA_ERROR_HARDWARE_FAILURE;
}

static bool staged(void) { return world_is_phase(DUNLIN_STAGED); }
static bool loaded(void) { return world_is_phase(DUNLIN_LOADED); }
static bool half_there(void) { return world_status().chunks_have >= 2; }

static int answer(void)
{
    static const struct dunlin_span image = {(const uint8_t *)"abcd", 4};
    struct dunlin_span output;

    return dunlin_infer(&world.device, &image, 1, &output, 1);
}

static void candidate_does_not_answer_before_its_test(void)
{
    world_fresh();
    world.predict = false;
    world_offer(DL_OFFER_DESIRED, "two");
    step_until(staged);
    CHECK_CODE(answer(), -DUNLIN_E_AGAIN);
    step_until(loaded);
    CHECK_CODE(answer(), -DUNLIN_E_AGAIN);
}

static void serves_when_flash_fails_during_a_trial(void)
{
    world_fresh();
    world.predict = false;
    world_offer(DL_OFFER_DESIRED, "two");
    step_until(staged);
    world.flash.read_only = true;
    world_run_for(10);
    CHECK(world_serves("one"));
    CHECK_CODE(world_boot(), 0);
    world_run_for(10);
    CHECK(world_serves("one"));
}

/* In probation, too, where the candidate serves until it fails. */
static void serves_when_flash_fails_during_a_probation(void)
{
    world_fresh();
    world.predict = false;
    world_offer(DL_OFFER_DESIRED, "two");
    while (!world_is_phase(DUNLIN_PROBATION))
        world_run_for(1);
    world.flash.read_only = true;
    world_follow("stranger", 3);
    CHECK(inside()->store.broken);
    world.predict = true;
    world_run_for(40);
    CHECK(world_serves("two") && world_is_phase(DUNLIN_PROBATION)); /* it cannot be committed */
    world.predict_fails = true;
    world_run_for(1);
    world.predict = false;
    CHECK(world_serves("one"));
}

/* A slot that rots on such flash: the other one serves, from each boot on anew; and then none, without hanging. */
static void serves_the_other_slot_when_flash_fails(void)
{
    world_fresh();
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
    world.flash.read_only = true;
    slot_at((unsigned)world_status().serving_slot)[3 * 4096 + 5000] ^= 1;
    CHECK_CODE(world_boot(), 0);
    CHECK(world_serves("one"));
    world_run_for(10);
    CHECK(world_serves("one"));
    slot_at((unsigned)world_status().serving_slot)[3 * 4096 + 5000] ^= 1;
    CHECK_CODE(world_boot(), 0);
    CHECK(world_status().serving_slot == -1);
    world_run_for(10);
}

static void serves_when_the_crypto_library_fails(void)
{
    world_fresh();
    world.withhold = true;
    crypto_fails = true;
    CHECK_CODE(world_boot(), 0);
    CHECK_CODE(answer(), -DUNLIN_E_NO_MODEL);
    world_run_for(5);
    crypto_fails = false;
    world_run_for(15); /* without a boot in between */
    CHECK(world_serves("one"));
}

/* Whatever it is that cannot be looked at: it is there, whole, at the next boot. */
static void loses_nothing_when_the_crypto_library_fails(void)
{
    unsigned works;

    world_fresh();
    world.withhold = true;
    for (works = 0; works < 8; works++) {
        crypto_fails = true;
        crypto_works = works;
        CHECK_CODE(world_boot(), 0);
        crypto_fails = false;
        crypto_works = 0;
        CHECK_CODE(world_boot(), 0);
        CHECK(world_serves("one"));
    }
}

/* A candidate whose counter cannot be looked at does not begin its trial. */
static void candidate_that_cannot_be_judged_is_refused(void)
{
    unsigned works;

    for (works = 0; works < 3; works++) {
        world_fresh();
        world_follow("two", 1);
        CHECK(world_run(world_committed_two, 60));
        world.predict = false;
        world_offer(DL_OFFER_DESIRED, "high-one");
        step_until(staged);
        crypto_fails = true;
        crypto_works = works;
        world_tick();
        crypto_fails = false;
        CHECK(world_is_phase(DUNLIN_REFUSED));
        world_tick();
        CHECK(world_serves("two"));
    }
}

static void download_stands_a_failing_crypto_library(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(half_there, 60));
    crypto_fails = true;
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    crypto_fails = false;
    world.withhold = true;
    world_run_for(15);
    CHECK(world_serves("one") && world_status().chunks_have >= 2);
    world.withhold = false;
    CHECK(world_run(world_committed_two, 60));
}

static void only_what_passes_its_test_serves(void)
{
    world_fresh();
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
    world.withhold = world.computes_wrong = true;
    CHECK_CODE(world_boot(), 0);
    CHECK(world_status().serving_slot == -1 && world_status().self_test.count == 2);
    CHECK_CODE(answer(), -DUNLIN_E_NO_MODEL);
}

static void refuses_leaves_that_were_not_signed(void)
{
    world_fresh();
    world.spoil_page = 1;
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
    world_run_for(5);
    CHECK(world.spoil_page == 0 && world_events("object-corrupt", "merkle") == 1);
}

/* A leaf is a chunk's name, which nobody knows if it is wrong. */
static void heals_a_rotten_leaf(bool boot)
{
    struct dl_slot *slot = &inside()->slot;

    world_fresh();
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(half_there, 60));
    world.flash.base[slot->base + slot->leaves + (slot->chunks - 1) * DUNLIN_DIGEST] ^= 1;
    if (boot)
        CHECK_CODE(world_boot(), 0);
    CHECK(world_run(world_committed_two, 60));
}

static void heals_a_rotten_leaf_after_a_boot(void) { heals_a_rotten_leaf(true); }
static void heals_a_rotten_leaf_that_is_missed(void) { heals_a_rotten_leaf(false); }

/* A sector that could not be erased is tried again from the slot's first one on, in the same boot, too. */
static void removal_begins_at_the_first_sector(void)
{
    unsigned i;

    world_fresh();
    world.flash.worn = (uint32_t)(slot_at(0) - world.flash.base) + 20 * 4096;
    world.flash.worn_end = world.flash.worn + 4096;
    slot_at(0)[20 * 4096] = 0;
    world_follow("nothing", 10);
    CHECK(world_events("device-fault", "flash") == 1);
    world.flash.worn = world.flash.worn_end = 0;
    slot_at(0)[20 * 4096] = 0xff;
    world_follow("low-old", 1);
    CHECK(world_run(world_settled, 60) && world_serves("old"));
    world_follow("zebra-floor", 10);
    for (i = 0; i < WORLD_SLOT; i++)
        CHECK(slot_at(0)[i] == 0xff);
}

static void knows_a_slot_by_its_whole_header(void)
{
    static uint8_t release[DUNLIN_DIGEST] = {1, 2, 3};
    struct dunlin_flash flash;
    struct dl_slot slot = {.base = WORLD_FLASH - WORLD_SLOT, .chunks = 3, .manifest_size = 300, .unit = 4096}, found;
    uint8_t variant;
    unsigned i;

    world_fresh();
    flash = flash_emulator_flash(&world.flash);
    CHECK_CODE(dl_flash_erase(&flash, NULL, slot.base, 4096), 0);
    CHECK_CODE(dl_slot_write(&flash, &slot, release, 1), 0);
    CHECK(dl_slot_read(&flash, slot.base, WORLD_SLOT, release, &found, &variant));
    CHECK(variant == 1 && found.chunks == 3 && found.manifest_size == 300);
    for (i = 0; i < 64; i++) {
        world.flash.base[slot.base + i] ^= 0x10;
        CHECK(!dl_slot_read(&flash, slot.base, WORLD_SLOT, release, &found, &variant));
        world.flash.base[slot.base + i] ^= 0x10;
    }
    release[31] ^= 1;
    CHECK(!dl_slot_read(&flash, slot.base, WORLD_SLOT, release, &found, &variant));
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(candidate_does_not_answer_before_its_test),
        TEST(serves_when_flash_fails_during_a_trial),
        TEST(serves_when_flash_fails_during_a_probation),
        TEST(serves_the_other_slot_when_flash_fails),
        TEST(serves_when_the_crypto_library_fails),
        TEST(loses_nothing_when_the_crypto_library_fails),
        TEST(candidate_that_cannot_be_judged_is_refused),
        TEST(download_stands_a_failing_crypto_library),
        TEST(only_what_passes_its_test_serves),
        TEST(refuses_leaves_that_were_not_signed),
        TEST(heals_a_rotten_leaf_after_a_boot),
        TEST(heals_a_rotten_leaf_that_is_missed),
        TEST(removal_begins_at_the_first_sector),
        TEST(knows_a_slot_by_its_whole_header),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
