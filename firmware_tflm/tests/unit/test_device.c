/* Whole journeys of one device: enrolling, updates, events, roots, wipes, leases. */
#include "world.h"

#include <string.h>

static void enrols_updates_and_reports(void)
{
    world_start(NULL, 4096, 8);
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
    world_fresh();
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

static bool half_there(void) { return world_status().chunks_have >= 2; }

static void works_on_other_flash(void)
{
    static const struct {
        uint32_t sector, write;
    } kinds[] = {{512, 1}, {2048, 8}, {4096, 32}, {8192, 16}, {16384, 32}};
    unsigned i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        world_start(NULL, kinds[i].sector, kinds[i].write);
        world_commit_one();
        world_offer(DL_OFFER_DESIRED, "two");
        CHECK(world_run(half_there, 60));
        CHECK_CODE(world_boot(), 0); /* goes on where it was */
        CHECK(world_serves("one"));
        CHECK(world_run(world_committed_two, 60));
    }
}

static void tells_events_until_they_are_acknowledged(void)
{
    unsigned before;

    world_fresh();
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
        world_fresh();
        world.acknowledge = true;
        world_offer(DL_OFFER_DESIRED, "one-again");
        for (step = 0; step < i; step++)
            world_tick();
        world_offer(DL_OFFER_DESIRED, "two-floor");
        CHECK(world_run(world_committed_two, 60));
    }
}

static void follows_the_root(void)
{
    world_fresh();
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
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "lost-root");
    CHECK(world_run(world_committed_two, 60));
    world_offer(DL_OFFER_DESIRED, "lost-root-epoch");
    world_run_for(30);
    CHECK(world_events("directive-refused", "epoch") == 1);
    world_offer(DL_OFFER_DESIRED, "after-lost-root");
    world_run_for(10);
    CHECK(world_serves("one"));
}

static void removes_what_is_not_desired(void)
{
    unsigned i;

    world_fresh();
    world_offer(DL_OFFER_DESIRED, "nothing");
    world_run_for(5);
    CHECK(world_events("model-removed", NULL) == 1);
    CHECK(world_status().serving_slot == -1 && world_is_phase(DUNLIN_IDLE));
    for (i = 0; i < WORLD_SLOT; i++)
        CHECK(world.flash.base[WORLD_FLASH - 2 * WORLD_SLOT + i] == 0xff);
}

static void wipes_once(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "wipe-lone");
    world_run_for(3);
    CHECK(world_events("wipe-refused", "threshold") == 1 && world_serves("one"));
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "wipe-desired");
    world_run_for(3);
    CHECK(world_events("wipe-refused", "wipe-desired") == 1 && world_serves("one"));
    world_fresh();
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
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "lease");
    world_run_for(30);
    CHECK(world_serves("one"));
    world_run_for(40);
    CHECK(!world_serves("one") && world_events("lease-expired", NULL) == 1);
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(enrols_updates_and_reports),
        TEST(goes_from_one_to_two_and_back),
        TEST(works_on_other_flash),
        TEST(tells_events_until_they_are_acknowledged),
        TEST(reads_every_message_that_is_offered),
        TEST(follows_the_root),
        TEST(waits_for_no_root),
        TEST(removes_what_is_not_desired),
        TEST(wipes_once),
        TEST(stops_when_the_lease_is_over),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
