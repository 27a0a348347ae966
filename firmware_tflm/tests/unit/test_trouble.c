/* A device in trouble: a line, a gateway, a flash, a clock or a source of randomness that does not do its part. */
#include "world.h"

#include <string.h>

static void stands_a_bad_line(void)
{
    world_fresh();
    world.noise = 400;
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(world_committed_two, 900));
    CHECK(world_status().bad_frames > 0);
    world.noise = 0;
}

static void stands_a_gateway_that_repeats_and_reorders(void)
{
    world_fresh();
    world.repeat = world.reorder = true;
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(world_committed_two, 900));
    world.repeat = world.reorder = false;
}

static void names_what_a_gateway_withholds(void)
{
    unsigned before;

    world_fresh();
    world.withhold = true;
    world_offer(DL_OFFER_DESIRED, "two");
    before = world.up_count;
    world_run_for(15);
    CHECK(world_is_phase(DUNLIN_PLANNED) && world_serves("one"));
    CHECK(world.up_count > before && world.up[world.up_count - 1].kind == DL_UP_REPORTED);
    world.withhold = false;
    CHECK(world_run(world_settled, 60) && world_serves("two"));
}

static void stands_spoilt_chunks(void)
{
    world_fresh();
    world.spoil_chunk = 5;
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 200) && world_serves("two"));
    world_run_for(5);
    CHECK(world_events("object-corrupt", NULL) >= 1);
}

static void serves_on_flash_that_cannot_be_written(void)
{
    world_fresh();
    world.flash.read_only = true;
    CHECK_CODE(world_boot(), 0);
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(5);
    CHECK(world_serves("one") && world_events("device-fault", "flash") == 1);
    world.flash.read_only = false;
}

static void serves_on_a_worn_slot(void)
{
    world_fresh();
    world.flash.worn = WORLD_FLASH - WORLD_SLOT + 5 * 4096;
    world.flash.worn_end = world.flash.worn + 4096;
    memset(world.flash.base + world.flash.worn, 0, 16);
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(10);
    CHECK(world_is_phase(DUNLIN_REFUSED));
    CHECK(world_serves("one") && world_events("device-fault", "flash") == 1 && world_events("update-refused", "flash") == 1);
}

/* Nothing can be signed without entropy: the event is told when there is some again. */
static void serves_without_entropy(void)
{
    world_fresh();
    world.no_random = true;
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(world_serves("one"));
    world.no_random = false;
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(world_serves("one") && world_events("device-fault", "entropy") == 1);
}

/* Repeating an event takes time: it is told after the clock goes again. */
static void tells_of_a_clock_that_stands_still(void)
{
    unsigned steps;

    world_fresh();
    world.clock_stopped = true;
    CHECK_CODE(world_boot(), 0);
    for (steps = 0; steps < 60000; steps++)
        world_tick();
    CHECK(world_serves("one"));
    world.clock_stopped = false;
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(world_serves("one") && world_events("device-fault", "clock") == 1);
}

static void serves_with_a_wrong_clock(void)
{
    world_fresh();
    world.unix_time = 1;
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(world_serves("one") && world_events("device-fault", "clock") == 1);
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 60) && world_serves("two"));
}

static void serves_the_other_slot_when_one_rots(void)
{
    unsigned slot;

    world_fresh();
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 60) && world_serves("two"));
    slot = (unsigned)world_status().serving_slot;
    world.flash.base[WORLD_FLASH - 2 * WORLD_SLOT + slot * WORLD_SLOT + 3 * 4096 + 5000] ^= 1;
    CHECK_CODE(world_boot(), 0);
    CHECK(world_serves("one"));
    world_run_for(1);
    CHECK(world_run(world_settled, 60) && world_serves("two"));
    world_run_for(5);
    CHECK(world_events("object-corrupt", "installed") == 1);
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(stands_a_bad_line),
        TEST(stands_a_gateway_that_repeats_and_reorders),
        TEST(names_what_a_gateway_withholds),
        TEST(stands_spoilt_chunks),
        TEST(serves_on_flash_that_cannot_be_written),
        TEST(serves_on_a_worn_slot),
        TEST(serves_without_entropy),
        TEST(tells_of_a_clock_that_stands_still),
        TEST(serves_with_a_wrong_clock),
        TEST(serves_the_other_slot_when_one_rots),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
