/* Wipe orders: what is gone afterwards, what the receipt says, and what must not be touched by an order for another
 * model. Power cuts in a wipe are test_cuts.c's. */
#define _GNU_SOURCE
#include <string.h>

#include "inside.h"

static bool underway(void) { return inside()->wipe.underway; }
static bool half_there(void) { return world_status().chunks_have >= 2; }
static bool erased(void) { return inside()->wipe_stage > 1; }

static bool plaintext_is_left(void)
{
    struct dunlin_span model = world_file("one.model");

    return world_in_flash(model.data + 100, 4096 - 100) || world_in_flash(model.data + 4096, 4096);
}

/* Of the receipt that is stored: key 6 and its value. */
static bool receipt_says(bool unreadable)
{
    struct dunlin_span receipt = dl_store_get(&inside()->store, DL_KEY_RECEIPT);
    const uint8_t says[] = {0x06, unreadable ? 0xf5 : 0xf4, 0x07};

    CHECK(receipt.size > DUNLIN_DIGEST);
    return memmem(receipt.data, receipt.size, says, sizeof says) != NULL;
}

static void leaves_nothing(void)
{
    struct dunlin_span secret = world_file("device-kem.key"), cek = world_file("two.cek");
    static const struct dunlin_span image = {(const uint8_t *)"abcd", 4};
    struct dunlin_span output;
    uint8_t grant[100];
    uint32_t word;

    world_fresh();
    world_run_for(5);
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(half_there, 60));
    memcpy(grant, inside()->desired.grant, sizeof grant);
    CHECK(world_in_flash(grant, sizeof grant) && world_in_flash(secret.data, secret.size) && plaintext_is_left());
    CHECK(memmem(&world.device, sizeof world.device, cek.data, cek.size));
    CHECK_CODE(dunlin_infer(&world.device, &image, 1, &output, 1), 0);
    world_follow("wipe", 10);
    CHECK(world_events("wiped", NULL) == 1 && receipt_says(true));
    CHECK(!world_in_flash(grant, sizeof grant)); /* the journal */
    CHECK(!world_in_flash(secret.data, secret.size)); /* the key store */
    CHECK(!plaintext_is_left());
    CHECK(!dl_key_there(2) && dl_key_there(3));
    CHECK(!memmem(&world.device, sizeof world.device, cek.data, cek.size));
    memcpy(&word, inside()->config.arena, sizeof word);
    CHECK(word == 0);
}

/* Key and plaintext are in memory no longer than they are needed. */
static void download_leaves_nothing_in_memory(void)
{
    struct dunlin_span model, cek;
    size_t i;

    world_fresh();
    model = world_file("two.model");
    cek = world_file("two.cek");
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(half_there, 60));
    for (i = 0; i + 4096 <= model.size; i += 512)
        CHECK(!memmem(&world.device, sizeof world.device, model.data + i, 64));
    world_offer(DL_OFFER_DESIRED, "one-again");
    world_run_for(3);
    CHECK(world_serves("one") && world_is_phase(DUNLIN_COMMITTED));
    CHECK(!memmem(&world.device, sizeof world.device, cek.data, cek.size));
}

static void says_what_could_be_read(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "wipe");
    step_until(erased);
    slot_at(1)[0] = 0;
    world_run_for(10);
    CHECK(receipt_says(false));
}

static void nothing_answers_meanwhile(void)
{
    static const struct dunlin_span image = {(const uint8_t *)"abcd", 4};
    struct dunlin_span output;

    world_fresh();
    world_offer(DL_OFFER_DESIRED, "wipe");
    step_until(underway);
    CHECK(inside()->loaded != DL_NO_SLOT);
    CHECK_CODE(dunlin_infer(&world.device, &image, 1, &output, 1), -DUNLIN_E_NO_MODEL);
}

static void order_for_another_model_lets_an_update_go_on(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "two");
    CHECK(world_run(half_there, 60));
    world_follow("wipe-other-two", 1);
    CHECK(world_run(world_committed_two, 60));
    CHECK(world_events("wiped", NULL) == 1);
}

static void order_for_another_model_lets_a_model_serve(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "wipe-other-one");
    step_until(underway);
    world_tick();
    CHECK_CODE(world_boot(), 0);
    CHECK(world_serves("one"));
    world_run_for(10);
    CHECK(world_serves("one") && world_events("wiped", NULL) == 1 && !underway());
}

static void order_for_another_model_removes_what_is_not_desired(void)
{
    world_fresh();
    world_follow("wipe-other-zebra", 10);
    CHECK(strcmp(world_status().model, "zebra") == 0 && world_status().serving_slot == -1);
    CHECK(world_events("model-removed", NULL) == 1);
}

/* What is left of a removed model goes with the order; the slot that serves stays. */
static void order_for_another_model_ends_an_old_removal(void)
{
    unsigned i;

    world_fresh();
    CHECK(inside()->state.serving == 0);
    inside()->state.erase = 2;
    slot_at(1)[70000] = 0;
    world_follow("wipe-other-one", 10);
    CHECK(world_events("wiped", NULL) == 1 && receipt_says(true));
    CHECK(world_serves("one") && inside()->state.erase == 0);
    for (i = 0; i < WORLD_SLOT; i++)
        CHECK(slot_at(1)[i] == 0xff);
    CHECK_CODE(world_boot(), 0);
    CHECK(world_serves("one"));
}

/* One sector that cannot be erased keeps nothing else; but nobody gets a receipt. */
static void worn_sector_keeps_nothing_else(void)
{
    struct dunlin_span secret = world_file("device-kem.key");

    world_fresh();
    world.flash.worn = (uint32_t)(slot_at(0) - world.flash.base);
    world.flash.worn_end = world.flash.worn + 4096;
    world_follow("wipe", 10);
    CHECK(world_events("wiped", NULL) == 0 && world_events("wipe-refused", "flash") == 1);
    CHECK(!plaintext_is_left() && !dl_key_there(2) && !world_in_flash(secret.data, secret.size));
    world.flash.worn = world.flash.worn_end = 0;
    CHECK_CODE(world_boot(), 0);
    world_run_for(10);
    CHECK(world_events("wiped", NULL) == 1 && receipt_says(true));
}

static void goes_on_when_the_order_comes_again(void)
{
    world_fresh();
    world_offer(DL_OFFER_DESIRED, "wipe");
    world.no_random = true;
    world_run_for(10);
    CHECK(inside()->wipe_stuck && underway());
    world.no_random = false;
    world_follow("wipe-again", 40); /* events that could not be signed wait */
    CHECK(!underway() && world_events("wiped", NULL) == 1);
}

static void knows_the_orders_before_the_last(void)
{
    uint8_t kem;

    world_fresh();
    world_follow("wipe", 10);
    world_follow("wipe-all", 10);
    kem = inside()->identity.kem;
    CHECK(kem == 0); /* two orders, two keys */
    world_follow("wipe-late", 10);
    CHECK(inside()->identity.kem == kem && !underway());
}

int main(int argc, char **argv)
{
    static const struct world_test tests[] = {
#define TEST(name) {#name, name}
        TEST(leaves_nothing),
        TEST(download_leaves_nothing_in_memory),
        TEST(says_what_could_be_read),
        TEST(nothing_answers_meanwhile),
        TEST(order_for_another_model_lets_an_update_go_on),
        TEST(order_for_another_model_lets_a_model_serve),
        TEST(order_for_another_model_removes_what_is_not_desired),
        TEST(order_for_another_model_ends_an_old_removal),
        TEST(worn_sector_keeps_nothing_else),
        TEST(goes_on_when_the_order_comes_again),
        TEST(knows_the_orders_before_the_last),
#undef TEST
    };

    return world_tests(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
