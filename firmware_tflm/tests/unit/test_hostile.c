/* What somebody on the line may say who has no key: forged directives that name roots, words for other devices, and
 * enrolment that nobody asked for. Nothing of it stops what is genuine. */
#include <string.h>

#include "inside.h"

static uint64_t root_version(void)
{
    struct dl_root root;

    CHECK_CODE(dl_root_in_force(inside(), &root), 0);
    return root.version;
}

static void forged_root_keeps_nobody_waiting(void)
{
    world_fresh();
    world_follow("forged-lost-root", 30);
    world_follow("next-root", 30);
    CHECK(root_version() == 2 && world_events("root-changed", NULL) > 0 && !inside()->walking);
}

/* While a named root does not come, settings do. */
static void settings_do_not_wait_for_a_root(void)
{
    world_fresh();
    CHECK_CODE(dl_drop(inside(), DL_KEY_SETTINGS, false), 0);
    world_follow("forged-lost-root", 5);
    CHECK(inside()->walking);
    world_follow("one-again", 10);
    CHECK(dl_store_get(&inside()->store, DL_KEY_SETTINGS).size > 0);
}

static void root_that_came_too_early_comes_again(void)
{
    world_fresh();
    world_follow("forged-third-root", 10);
    CHECK(root_version() == 1 && world_events("directive-refused", "root-version") == 1);
    world_follow("next-root", 20);
    world_follow("third-root", 20);
    CHECK(root_version() == 3);
}

/* Not again and again, at least. */
static void false_root_is_fetched_once(void)
{
    unsigned i;

    world_fresh();
    world_follow("false-root", 10);
    CHECK(root_version() == 1);
    for (i = 0; i < 20000; i++) {
        world_tick();
        CHECK(inside()->job != DL_JOB_ROOT);
    }
}

/* An ack for another device, of the very same stream and number, acknowledges nothing. */
static void word_for_another_device_acknowledges_nothing(void)
{
    unsigned before;

    world_fresh();
    world.acknowledge = world.acknowledge_other = true;
    world_run_for(40);
    before = world.up_count;
    world_run_for(60);
    CHECK(world.up_count > before && world_events("note", "device") > 0);
    world.acknowledge_other = false;
    world_run_for(60);
    before = world.up_count;
    world_run_for(60);
    CHECK(world.up_count == before);
}

static unsigned requests(void)
{
    unsigned i, count = 0;

    for (i = 0; i < world.up_count; i++)
        count += world.up[i].kind == DL_UP_ENROL;
    return count;
}

static void enrolled_device_takes_no_claim(void)
{
    world_fresh();
    CHECK_CODE(world_boot(), 0); /* what was taken since boot is not read again */
    world_offer(DL_OFFER_CLAIM, "claim");
    world_run_for(5);
    CHECK(requests() == 0 && !inside()->claim.device[0] && world_serves("one"));
}

static void enrolled_device_takes_no_reply(void)
{
    world_fresh();
    world_offer(DL_OFFER_ENROL, "refused");
    world_run_for(5);
    world_offer(DL_OFFER_ENROL, "pending");
    world_run_for(5);
    CHECK(strcmp(world_status().device, "mcu-1") == 0 && world_serves("one"));
    CHECK_CODE(world_boot(), 0);
    CHECK(strcmp(world_status().device, "mcu-1") == 0);
}

/* A claim that is used up, or refused, is out of flash and memory, and another may follow. */
static void claim_is_forgotten(void)
{
    struct dunlin_span secret = world_file("claim.secret");

    world_start(NULL, 4096, 8);
    CHECK_CODE(world_boot(), 0);
    world_offer(DL_OFFER_CLAIM, "claim");
    world_run_for(3);
    CHECK(requests() == 1 && world_in_flash(secret.data, secret.size));
    world_offer(DL_OFFER_ENROL, "refused");
    world_run_for(3);
    CHECK(!world_status().device[0] && !inside()->claim.device[0]);
    CHECK(!world_in_flash(secret.data, secret.size));
    CHECK_CODE(world_boot(), 0);
    CHECK(!world_status().device[0]);
    world_offer(DL_OFFER_CLAIM, "claim");
    world_offer(DL_OFFER_ENROL, "reply");
    CHECK(world_run(world_enrolled, 20));
    CHECK(!world_in_flash(secret.data, secret.size) && !inside()->claim.device[0]);
    /* Power failed when the device was enrolled, and the claim not forgotten yet. */
    memcpy(inside()->claim.secret, secret.data, secret.size);
    memcpy(inside()->claim.device, "mcu-1", 6);
    CHECK_CODE(dl_save(inside(), DL_KEY_CLAIM, false), 0);
    CHECK_CODE(world_boot(), 0);
    world_run_for(5);
    CHECK(!world_in_flash(secret.data, secret.size) && requests() == 0);
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(forged_root_keeps_nobody_waiting),
        TEST(settings_do_not_wait_for_a_root),
        TEST(root_that_came_too_early_comes_again),
        TEST(false_root_is_fetched_once),
        TEST(word_for_another_device_acknowledges_nothing),
        TEST(enrolled_device_takes_no_claim),
        TEST(enrolled_device_takes_no_reply),
        TEST(claim_is_forgotten),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
