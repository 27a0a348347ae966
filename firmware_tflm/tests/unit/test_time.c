/* Time: that of a device which is away for weeks, sleeps for weeks, or is switched off every minute; and how old a
 * directive may be. */
#include <string.h>

#include "inside.h"

static bool fetches_a_chunk(void) { return inside()->job == DL_JOB_CHUNK; }
static bool sends(void) { return inside()->link.up_kind != 0; }
static bool waits_for_data(void) { return fetches_a_chunk() && inside()->link.get.asked > inside()->link.get.have; }

static void quiet(void)
{
    world_fresh();
    world.acknowledge = true;
    world_run_for(60);
    CHECK(!sends());
}

static void goes_on_with_a_download_after_weeks(void)
{
    quiet();
    world_offer(DL_OFFER_DESIRED, "two");
    step_until(fetches_a_chunk);
    world_away_for(30);
    CHECK(world_run(world_committed_two, 120));
}

static void tells_after_weeks(void)
{
    unsigned steps;

    quiet();
    inside()->report_due = true;
    world_tick();
    for (steps = 0; !sends(); steps++) {
        CHECK(steps < 10000);
        (void)dunlin_step(&world.device);
        world.now_ms++;
    }
    world_away_for(30);
    world_run_for(60);
    CHECK(world.up_count > 0);
}

static void says_hello_when_plugged_in_after_weeks(void)
{
    quiet();
    world_offer(DL_OFFER_DESIRED, "two");
    step_until(waits_for_data);
    world.unplugged = true;
    world_away_for(30);
    world.unplugged = false;
    CHECK(world_run(world_committed_two, 120));
}

/* A board that sleeps for weeks, with a clock that goes on. */
static void sleeps_for_weeks(void)
{
    uint32_t lived;

    quiet();
    lived = inside()->lived;
    world.now_ms += 30ull * 86400000;
    world_run_for(60);
    CHECK(inside()->lived - lived >= 30u * 86400 && inside()->lived - lived < 30u * 86400 + 120);
    CHECK(world_events("device-fault", "clock") == 0);
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
}

static void counts_seconds_exactly(void)
{
    uint32_t lived;
    unsigned i;

    quiet();
    lived = inside()->lived;
    for (i = 0; i < 1000; i++) {
        world.now_ms += 1999;
        (void)dunlin_step(&world.device);
    }
    CHECK(inside()->lived - lived == 1999);
}

/* A lease ends, however often the power is cut. */
static void lease_ends_on_a_device_that_is_switched_off_every_minute(void)
{
    unsigned boot;

    world_fresh();
    world_follow("lease", 5);
    CHECK(world_serves("one"));
    world.withhold = true;
    for (boot = 0; boot < 3; boot++) {
        CHECK_CODE(world_boot(), 0);
        world_run_for(55);
    }
    CHECK(!world_serves("one") && world_status().serving_slot >= 0);
}

/* Of the time that a device runs at least half is kept. */
static void keeps_running_time(void)
{
    static const unsigned spans[] = {50, 119, 200, 479, 1000, 5000, 10000};
    uint32_t lived, ran;
    unsigned i;

    world_fresh();
    world.acknowledge = true;
    world.predict = false;
    for (i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        lived = inside()->followed.lived;
        CHECK_CODE(world_boot(), 0);
        for (ran = 0; ran < spans[i]; ran++) {
            world.now_ms += 1000;
            (void)dunlin_step(&world.device);
        }
        CHECK_CODE(world_boot(), 0);
        CHECK(inside()->lived - lived >= 2 * DL_BOOT_S + (spans[i] < 2 * DL_BOOT_S ? 0 : spans[i] / 2));
        CHECK(inside()->lived - lived <= 2 * DL_BOOT_S + spans[i]);
    }
}

static void expires_by_running_time(void)
{
    world_fresh();
    world_follow("expired", 1); /* 18 seconds after the first time floor */
    CHECK(world_run(world_committed_two, 60));
    world_fresh();
    world_run_for(30);
    world_follow("expired", 10);
    CHECK(world_events("directive-refused", "freshness") == 1 && world_serves("one"));
}

static void time_floor_rises(void)
{
    world_fresh();
    world_follow("two-late", 1);
    CHECK(world_run(world_committed_two, 60));
    world_follow("expired-late", 10); /* before that one was issued */
    CHECK(world_events("directive-refused", "freshness") == 1 && world_serves("two"));
}

static void answer_to_this_boot_is_fresh(void)
{
    world_fresh();
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
    world_follow("nonce", 10);
    CHECK(world_events("directive-refused", "freshness") == 1 && world_serves("two"));
    world_fresh();
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
    memcpy(inside()->link.nonce, world_file("nonce.bytes").data, DUNLIN_ID);
    world_follow("nonce", 10);
    CHECK(world_serves("one"));
}

/* Without entropy, too: no directive for one boot answers another. */
static void each_boot_has_its_nonce(void)
{
    uint8_t nonce[DUNLIN_ID];

    world_fresh();
    world.no_random = true;
    CHECK_CODE(world_boot(), 0);
    memcpy(nonce, inside()->link.nonce, sizeof nonce);
    CHECK_CODE(world_boot(), 0);
    CHECK(memcmp(nonce, inside()->link.nonce, sizeof nonce) != 0);
}

/* Reports are numbered in blocks, one a boot: more of them take another block, which no later boot uses. */
static void report_numbers_only_rise(void)
{
    uint32_t boots;

    quiet();
    boots = inside()->boots;
    inside()->reports = (1u << 20) - 1;
    inside()->report_due = true;
    world_run_for(5);
    CHECK(inside()->boots == boots + 1 && inside()->reports == 1);
    CHECK_CODE(world_boot(), 0);
    CHECK(inside()->boots == boots + 2);
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(goes_on_with_a_download_after_weeks),
        TEST(tells_after_weeks),
        TEST(says_hello_when_plugged_in_after_weeks),
        TEST(sleeps_for_weeks),
        TEST(counts_seconds_exactly),
        TEST(lease_ends_on_a_device_that_is_switched_off_every_minute),
        TEST(keeps_running_time),
        TEST(expires_by_running_time),
        TEST(time_floor_rises),
        TEST(answer_to_this_boot_is_fresh),
        TEST(each_boot_has_its_nonce),
        TEST(report_numbers_only_rise),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
