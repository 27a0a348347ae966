/* What a device refuses or takes back: releases that are no good, wrong directives, trials that fail. */
#include "world.h"

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
    world_fresh();
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

    world_fresh();
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
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "two-floor");
    world_run_for(1);
    CHECK(world_run(world_settled, 60) && world_serves("two"));
    world_offer(DL_OFFER_DESIRED, "old");
    world_run_for(5);
    CHECK(world_events("update-refused", "floor") == 1 && world_serves("two"));
}

static void rolls_back_in_probation(void)
{
    world_fresh();
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

    world_fresh();
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

static void holds_one_model(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "two-models");
    world_run_for(4);
    CHECK(world_events("update-refused", "no-slot") == 1);
    CHECK(world_serves("one"));
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(keeps_the_old_model_when_the_new_one_is_no_good),
        TEST(follows_no_wrong_directive),
        TEST(keeps_to_the_floor),
        TEST(rolls_back_in_probation),
        TEST(gives_a_trial_three_boots),
        TEST(holds_one_model),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
