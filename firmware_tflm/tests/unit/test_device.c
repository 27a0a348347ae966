/* Whole journeys of one device against a gateway that behaves, and one that does not. */
#include "world.h"

#include <string.h>

static const char *fixture;

static void fresh(void)
{
    world_start(fixture, 4096, 8);
    world_commit_one();
}

static void enrols_updates_and_reports(void)
{
    world_start(fixture, 4096, 8);
    CHECK_CODE(world_boot(), 0);
    CHECK(world_status().device[0] == 0);
    world_offer(DL_OFFER_CLAIM, "claim");
    world_run_for(3);
    CHECK(strcmp(world_status().device, "mcu-1") == 0);
    CHECK(world.up_count == 1 && world.up[0].kind == DL_UP_ENROL);
    world_offer(DL_OFFER_ENROL, "pending");
    world_run_for(5);
    CHECK(world.up_count >= 2 && world.up[1].kind == DL_UP_ENROL);
    world_offer(DL_OFFER_ENROL, "reply-other-root");
    world_run_for(5);
    CHECK(!world_enrolled());
    world_offer(DL_OFFER_ENROL, "reply");
    CHECK(world_run(world_enrolled, 20));
    CHECK(world_events("boot", NULL) >= 1);
}

static void goes_from_one_to_two_and_back(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 60));
    CHECK(world_serves("two"));
    /* Back to what was committed here before: one switch, no probation. */
    world_offer(DL_OFFER_DESIRED, "one-again");
    world_run_for(2);
    CHECK(world_is_phase(DUNLIN_COMMITTED) && world_serves("one"));
    CHECK_CODE(world_boot(), 0);
    CHECK(world_serves("one"));
}

static bool two_is_committed(void) { return world_is_phase(DUNLIN_COMMITTED) && world_serves("two"); }
static bool half_there(void) { return world_status().chunks_have >= 2; }

static void works_on_other_flash(void)
{
    static const struct {
        uint32_t sector, write;
    } kinds[] = {{512, 1}, {2048, 8}, {4096, 32}, {8192, 16}, {16384, 32}};
    unsigned i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        world_start(fixture, kinds[i].sector, kinds[i].write);
        world_commit_one();
        world_offer(DL_OFFER_DESIRED, "two");
        CHECK(world_run(half_there, 60));
        CHECK_CODE(world_boot(), 0); /* goes on where it was */
        CHECK(world_serves("one"));
        CHECK(world_run(two_is_committed, 60));
    }
}

static void tells_events_until_they_are_acknowledged(void)
{
    unsigned before;

    fresh();
    before = world_events("update-committed", NULL);
    world_run_for(40);
    CHECK(world_events("update-committed", NULL) > before); /* nobody acknowledged it: again, after a while */
    world.acknowledge = true;
    world_run_for(40);
    before = world.up_count;
    world_run_for(100);
    CHECK(world.up_count == before);
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(world_events(NULL, NULL) == 1 && world_events("boot", NULL) == 1);
}

/* Another message is offered while one is on its way, or being opened: both are read, each is taken under its own name. */
static void reads_every_message_that_is_offered(void)
{
    unsigned i, step;

    for (i = 0; i < 40; i++) {
        fresh();
        world.acknowledge = true;
        world_offer(DL_OFFER_DESIRED, "one-again");
        for (step = 0; step < i; step++)
            world_tick();
        world_offer(DL_OFFER_DESIRED, "two-floor");
        CHECK(world_run(two_is_committed, 60));
    }
}

static void refuses(const char *message, const char *code)
{
    world_offer(DL_OFFER_DESIRED, message);
    world_run_for(12);
    if (!world_events("update-refused", code)) {
        (void)fprintf(stderr, "%s: not refused as %s but %s\n", message, code, dunlin_reason(world_status().error));
        exit(1);
    }
    CHECK(world_serves("one"));
}

static void keeps_the_old_model_when_the_new_one_is_no_good(void)
{
    fresh();
    refuses("hardware", "no-variant");
    refuses("operator", "no-variant");
    refuses("unknown-op", "operator");
    refuses("arena", "no-variant");
    refuses("big", "no-variant");
    refuses("golden", "self-test");
    CHECK_CODE(world_boot(), 0);
    CHECK(world_serves("one"));
}

static void follows_no_wrong_directive(void)
{
    static const struct {
        const char *message, *code;
    } bad[] = {{"stranger", "signer-unknown"}, {"other-device", "device"}, {"one", "sequence"}};
    unsigned i;

    fresh();
    world_offer(DL_OFFER_DESIRED, "one-again");
    world_run_for(2);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        world_offer(DL_OFFER_DESIRED, bad[i].message);
        world_run_for(3);
        CHECK(world_events("directive-refused", bad[i].code) == 1);
        CHECK(world_serves("one"));
    }
}

static void keeps_to_the_floor(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "two-floor");
    world_run_for(1);
    CHECK(world_run(world_settled, 60) && world_serves("two"));
    world_offer(DL_OFFER_DESIRED, "old");
    world_run_for(5);
    CHECK(world_events("update-refused", "floor") == 1 && world_serves("two"));
}

static void rolls_back_in_probation(void)
{
    fresh();
    world.predict_fails = true;
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 60));
    CHECK(world_is_phase(DUNLIN_ROLLED_BACK));
    world_run_for(3);
    CHECK(world_events("update-rolled-back", "invoke") == 1 && world_serves("one"));
}

static bool on_probation(void) { return world_is_phase(DUNLIN_PROBATION); }

static void gives_a_trial_three_boots(void)
{
    unsigned boot;

    fresh();
    world.predict = false;
    world_offer(DL_OFFER_DESIRED, "two");
    for (boot = 0; boot < 3; boot++) {
        CHECK(world_run(on_probation, 60));
        CHECK_CODE(world_boot(), 0);
    }
    CHECK(world_is_phase(DUNLIN_ROLLED_BACK) && world_serves("one"));
    world_run_for(3);
    CHECK(world_events("update-rolled-back", "restarted") == 1);
}

static void stands_a_bad_line(void)
{
    fresh();
    world.noise = 400;
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(two_is_committed, 900));
    CHECK(world_status().bad_frames > 0);
    world.noise = 0;
}

static void stands_a_gateway_that_repeats_and_reorders(void)
{
    fresh();
    world.repeat = world.reorder = true;
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(two_is_committed, 900));
    world.repeat = world.reorder = false;
}

static void names_what_a_gateway_withholds(void)
{
    unsigned before;

    fresh();
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
    fresh();
    world.spoil_chunk = 5;
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 200) && world_serves("two"));
    world_run_for(5);
    CHECK(world_events("object-corrupt", NULL) >= 1);
}

static void follows_the_root(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "fast-forward");
    world_run_for(3);
    CHECK(world_serves("one"));
    /* The old epoch's numbers are used up; the next root raises the epoch, and is named by what is refused. */
    world_offer(DL_OFFER_DESIRED, "epoch-2");
    world_run_for(1);
    CHECK(world_run(world_settled, 60));
    world_run_for(20);
    CHECK(world_events("root-changed", NULL) == 1);
    CHECK(world_serves("two"));
}

/* A root that nobody has: a stolen director key may name one, and must not stop anything with it. */
static void waits_for_no_root(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "lost-root");
    CHECK(world_run(two_is_committed, 60));
    world_offer(DL_OFFER_DESIRED, "lost-root-epoch");
    world_run_for(30);
    CHECK(world_events("directive-refused", "epoch") == 1);
    world_offer(DL_OFFER_DESIRED, "after-lost-root");
    world_run_for(10);
    CHECK(world_serves("one"));
}

static void holds_one_model(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "two-models");
    world_run_for(4);
    CHECK(world_events("update-refused", "no-slot") == 1);
    CHECK(world_serves("one"));
}

static void removes_what_is_not_desired(void)
{
    unsigned i;

    fresh();
    world_offer(DL_OFFER_DESIRED, "nothing");
    world_run_for(5);
    CHECK(world_events("model-removed", NULL) == 1);
    CHECK(world_status().serving_slot == -1 && world_is_phase(DUNLIN_IDLE));
    for (i = 0; i < WORLD_SLOT; i++)
        CHECK(world.flash.base[WORLD_FLASH - 2 * WORLD_SLOT + i] == 0xff);
}

static void wipes_once(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "wipe-lone");
    world_run_for(3);
    CHECK(world_events("wipe-refused", "threshold") == 1 && world_serves("one"));
    fresh();
    world_offer(DL_OFFER_DESIRED, "wipe-desired");
    world_run_for(3);
    CHECK(world_events("wipe-refused", "wipe-desired") == 1 && world_serves("one"));
    fresh();
    world_offer(DL_OFFER_DESIRED, "wipe");
    world_run_for(5);
    CHECK(world_events("wiped", NULL) == 1 && world_status().serving_slot == -1);
    world_offer(DL_OFFER_DESIRED, "wipe-again");
    world_run_for(5);
    CHECK(world_events("wiped", NULL) == 1);
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(world_events("wiped", NULL) == 1); /* the same receipt, until it is acknowledged */
}

static void stops_when_the_lease_is_over(void)
{
    fresh();
    world_offer(DL_OFFER_DESIRED, "lease");
    world_run_for(30);
    CHECK(world_serves("one"));
    world_run_for(40);
    CHECK(!world_serves("one") && world_events("lease-expired", NULL) == 1);
}

static void serves_on_flash_that_cannot_be_written(void)
{
    fresh();
    world.flash.read_only = true;
    CHECK_CODE(world_boot(), 0);
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(5);
    CHECK(world_serves("one") && world_events("device-fault", "flash") == 1);
    world.flash.read_only = false;
}

static void serves_on_a_worn_slot(void)
{
    fresh();
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
    fresh();
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

    fresh();
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
    fresh();
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

    fresh();
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
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
#define TEST(name) {#name, name}
        TEST(enrols_updates_and_reports),
        TEST(goes_from_one_to_two_and_back),
        TEST(works_on_other_flash),
        TEST(tells_events_until_they_are_acknowledged),
        TEST(reads_every_message_that_is_offered),
        TEST(keeps_the_old_model_when_the_new_one_is_no_good),
        TEST(follows_no_wrong_directive),
        TEST(keeps_to_the_floor),
        TEST(rolls_back_in_probation),
        TEST(gives_a_trial_three_boots),
        TEST(stands_a_bad_line),
        TEST(stands_a_gateway_that_repeats_and_reorders),
        TEST(names_what_a_gateway_withholds),
        TEST(stands_spoilt_chunks),
        TEST(follows_the_root),
        TEST(waits_for_no_root),
        TEST(holds_one_model),
        TEST(removes_what_is_not_desired),
        TEST(wipes_once),
        TEST(stops_when_the_lease_is_over),
        TEST(serves_on_flash_that_cannot_be_written),
        TEST(serves_on_a_worn_slot),
        TEST(serves_without_entropy),
        TEST(tells_of_a_clock_that_stands_still),
        TEST(serves_with_a_wrong_clock),
        TEST(serves_the_other_slot_when_one_rots),
#undef TEST
    };
    unsigned i;

    CHECK(argc >= 2);
    fixture = argv[1];
    for (i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc > 2 && !strstr(tests[i].name, argv[2]))
            continue;
        (void)printf("%s\n", tests[i].name);
        (void)fflush(stdout);
        tests[i].run();
    }
    return 0;
}
