/* Power fails at every flash operation of an enrolment with its first model, of an update, and of a wipe: one child
 * process loses it there, the next boots from what is left. After each reboot a tested model serves, and the rest is done. */
#define _DEFAULT_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

static uint8_t *snapshot;
static uint32_t *operations; /* shared: what the uncut run counted */

static int in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void power_on(void)
{
    world.flash.operations = 0;
    CHECK_CODE(world_boot(), 0);
}

static void update(void)
{
    power_on();
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 120) && world_serves("two"));
    world_run_for(5);
    *operations = world.flash.operations;
}

/* Right after the reboot: one or the other serves, tested, and the update comes to its end. */
static void update_after_cut(void)
{
    world.flash.cut_at = 0;
    power_on();
    CHECK(world_serves("one") || world_serves("two") || world_is_phase(DUNLIN_PROBATION));
    CHECK(world_status().serving_slot >= 0 && world_status().self_test.error == 0);
    world_offer(DL_OFFER_DESIRED, "two");
    world_run_for(1);
    CHECK(world_run(world_settled, 120) && world_serves("two"));
}

/* From a device that was never enrolled to its first model. */
static void begin(void)
{
    power_on();
    world.predict = true;
    if (!world_status().device[0])
        world_offer(DL_OFFER_CLAIM, "claim");
    world_offer(DL_OFFER_ENROL, "reply");
    CHECK(world_run(world_enrolled, 60));
    world_offer(DL_OFFER_DESIRED, "one");
    world_run_for(1);
    CHECK(world_run(world_settled, 60) && world_serves("one"));
    *operations = world.flash.operations;
}

static void begin_after_cut(void)
{
    world.flash.cut_at = 0;
    begin();
}

static bool receipt_told(void) { return world_events("wiped", NULL) > 0; }

static void wipe(void)
{
    power_on();
    world_offer(DL_OFFER_DESIRED, "wipe");
    CHECK(world_run(receipt_told, 60));
    world_run_for(5);
    *operations = world.flash.operations;
}

static void wipe_after_cut(void)
{
    unsigned i;

    world.flash.cut_at = 0;
    power_on();
    world_offer(DL_OFFER_DESIRED, "wipe");
    CHECK(world_run(receipt_told, 60) && world_status().serving_slot == -1);
    CHECK(world_events("wiped", NULL) == 1);
    for (i = 0; i < 2 * WORLD_SLOT; i++)
        CHECK(world.flash.base[WORLD_FLASH - 2 * WORLD_SLOT + i] == 0xff);
}

static void cut_everywhere(const char *what, void (*run)(void), void (*after)(void))
{
    uint32_t cut, last, cuts = 0;

    CHECK(in_child(run) == 0);
    last = *operations;
    for (cut = 1; cut <= last; cut++) {
        memcpy(world.flash.base, snapshot, WORLD_FLASH);
        world.flash.cut_at = cut;
        if (in_child(run) != WORLD_END_CUT || in_child(after) != 0) {
            (void)fprintf(stderr, "%s: power cut at operation %u\n", what, (unsigned)cut);
            exit(1);
        }
        cuts++;
    }
    world.flash.cut_at = 0;
    (void)printf("%s: %u operations, power cut at %u of them\n", what, (unsigned)last, (unsigned)cuts);
    CHECK(cuts == last);
    memcpy(world.flash.base, snapshot, WORLD_FLASH);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    operations = mmap(NULL, sizeof *operations, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(operations != MAP_FAILED);
    world_start(argv[1], 4096, 8);
    snapshot = malloc(WORLD_FLASH);
    CHECK(snapshot);
    memcpy(snapshot, world.flash.base, WORLD_FLASH);
    cut_everywhere("enrolment and first model", begin, begin_after_cut);
    world_commit_one();
    world_run_for(5);
    memcpy(snapshot, world.flash.base, WORLD_FLASH);
    cut_everywhere("update", update, update_after_cut);
    cut_everywhere("wipe", wipe, wipe_after_cut);
    free(snapshot);
    return 0;
}
