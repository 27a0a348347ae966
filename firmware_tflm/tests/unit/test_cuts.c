/* Power fails at every flash operation of an enrolment with its first model, of an update, and of a wipe: one child
 * process stops there, another boots from what is left. After each reboot a tested model serves, and the rest is done.
 * Then the first goes on to its next operation, as if nothing had been. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

static uint8_t *before; /* the flash when a run begins */
static uint8_t *half;   /* and in the middle of an operation */
static uint32_t *operations; /* shared: how many the run has done */

static void lose_power(void *ctx)
{
    (void)ctx;
    memcpy(half, world.flash.base, WORLD_FLASH);
    *operations = world.flash.operations;
    CHECK(raise(SIGSTOP) == 0);
    memcpy(world.flash.base, half, WORLD_FLASH);
    world.flash.cut_at++;
}

static pid_t in_child(void (*run)(void))
{
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0); /* one that stands still would do so for ever */
        run();
        _exit(0);
    }
    return child;
}

static int state_of(pid_t child)
{
    int state;

    CHECK(waitpid(child, &state, WUNTRACED) == child);
    return state;
}

static bool is_done(int state) { return WIFEXITED(state) && WEXITSTATUS(state) == 0; }

static bool is_left(const char *secret)
{
    struct dunlin_span bytes = world_file(secret);

    return world_in_flash(bytes.data, bytes.size);
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
    CHECK(!is_left("claim.secret"));
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
    CHECK(!is_left("device-kem.key"));
    *operations = world.flash.operations;
}

static void wipe_after_cut(void)
{
    unsigned i;

    world.flash.cut_at = 0;
    power_on();
    world_offer(DL_OFFER_DESIRED, "wipe");
    CHECK(world_run(receipt_told, 60) && world_status().serving_slot == -1);
    CHECK(world_events("wiped", NULL) == 1 && !is_left("device-kem.key"));
    for (i = 0; i < 2 * WORLD_SLOT; i++)
        CHECK(world.flash.base[WORLD_FLASH - 2 * WORLD_SLOT + i] == 0xff);
}

static void cut_everywhere(const char *what, void (*run)(void), void (*after)(void))
{
    uint32_t cuts = 0;
    pid_t running;
    int state;

    memcpy(before, world.flash.base, WORLD_FLASH);
    world.flash.cut_at = 1;
    running = in_child(run);
    for (state = state_of(running); WIFSTOPPED(state); state = state_of(running)) {
        CHECK(*operations == ++cuts);
        if (!is_done(state_of(in_child(after)))) {
            (void)fprintf(stderr, "%s: power cut at operation %u\n", what, (unsigned)cuts);
            exit(1);
        }
        CHECK(kill(running, SIGCONT) == 0);
    }
    CHECK(is_done(state));
    (void)printf("%s: %u operations, power cut at %u of them\n", what, (unsigned)*operations, (unsigned)cuts);
    CHECK(cuts > 0 && cuts == *operations);
    world.flash.cut_at = 0;
    memcpy(world.flash.base, before, WORLD_FLASH);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    operations = mmap(NULL, sizeof *operations, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(operations != MAP_FAILED);
    before = malloc(WORLD_FLASH);
    half = malloc(WORLD_FLASH);
    CHECK(before && half);
    world_start(argv[1], 4096, 8);
    world.flash.power_cut = lose_power;
    cut_everywhere("enrolment and first model", begin, begin_after_cut);
    world_commit_one();
    world_run_for(5);
    cut_everywhere("update", update, update_after_cut);
    cut_everywhere("wipe", wipe, wipe_after_cut);
    free(before);
    free(half);
    return 0;
}
