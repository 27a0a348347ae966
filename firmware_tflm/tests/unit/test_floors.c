/* The security floor, against whoever holds the director's key but not a release key: SPEC, section 7. */
#include <string.h>

#include "inside.h"

static void two_above_the_floor(void)
{
    world_fresh();
    world_follow("two-floor", 1);
    CHECK(world_run(world_committed_two, 60));
}

static void floor_only_rises(void)
{
    two_above_the_floor();
    world_follow("low-old", 10); /* says floor 0 */
    CHECK(world_serves("two") && world_events("update-refused", "floor") == 1);
}

static void floor_outlives_its_model(void)
{
    two_above_the_floor();
    world_follow("nothing", 5);
    CHECK(world_status().serving_slot == -1);
    CHECK_CODE(world_boot(), 0);
    world_follow("low-old", 10);
    CHECK(world_status().serving_slot == -1 && world_events("update-refused", "floor") == 1);
}

static void next_epoch_begins_anew(void)
{
    two_above_the_floor();
    world_follow("epoch-2", 10);
    CHECK(world_events("root-changed", NULL) == 1);
    world_follow("low-old-epoch", 10);
    CHECK(world_run(world_settled, 60) && world_serves("old"));
}

/* Nothing pushes a floor out; a model that finds no place has the floor that its directives state. */
static void keeps_four_floors(void)
{
    struct dl_floor *floors;
    unsigned i;

    two_above_the_floor();
    floors = inside()->followed.floors;
    CHECK(strcmp(floors[0].model, "digits") == 0 && floors[0].floor == 2);
    for (i = 1; i < DL_FLOORS; i++) {
        floors[i].floor = i;
        floors[i].model[0] = (char)('a' + i);
    }
    world_follow("zebra-floor", 2);
    CHECK(strcmp(world_status().model, "zebra") == 0 && inside()->desired.floor == 5);
    CHECK(strcmp(floors[0].model, "digits") == 0 && floors[0].floor == 2);
    CHECK(strcmp(floors[DL_FLOORS - 1].model, "zebra") != 0);
}

static void fallback_keeps_to_the_floor(void)
{
    unsigned slot;

    two_above_the_floor();
    slot = (unsigned)world_status().serving_slot;
    slot_at(slot)[3 * 4096 + 5000] ^= 1;
    world.withhold = true;
    CHECK_CODE(world_boot(), 0);
    world_run_for(20);
    CHECK(world_status().serving_slot == -1);
    world.withhold = false;
    CHECK(world_run(world_committed_two, 60));
}

static bool old_is_judged(void)
{
    CHECK(!world_is_phase(DUNLIN_DOWNLOADING));
    return world_is_phase(DUNLIN_REFUSED);
}

static void refuses_before_it_downloads(void)
{
    two_above_the_floor();
    world_offer(DL_OFFER_DESIRED, "old");
    step_until(old_is_judged);
    CHECK(world_status().error == DUNLIN_E_FLOOR);
}

/* What was committed before needs no download, and comes back only if it is not below the floor that was set since. */
static void way_back_keeps_to_the_floor(void)
{
    world_fresh();
    world_follow("two", 1);
    CHECK(world_run(world_committed_two, 60));
    world_follow("high-one", 5);
    CHECK(world_status().error == DUNLIN_E_FLOOR && world_serves("two"));
}

/* A refusal that was the directive's fault: the same release is tried again when another directive names it. */
static void tries_again_when_directed_better(void)
{
    world_fresh();
    world_follow("many-pages", 5);
    CHECK(world_status().error == DUNLIN_E_COUNT && world_serves("one"));
    world_follow("two-late", 1);
    CHECK(world_run(world_committed_two, 60));
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(floor_only_rises),
        TEST(floor_outlives_its_model),
        TEST(next_epoch_begins_anew),
        TEST(keeps_four_floors),
        TEST(fallback_keeps_to_the_floor),
        TEST(refuses_before_it_downloads),
        TEST(way_back_keeps_to_the_floor),
        TEST(tries_again_when_directed_better),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
