/* The firmware of a board: start, check the port once, run the core for ever. */
#include <psa/crypto.h>

#include "dunlin/dunlin.h"
#include "port.h"
#include "port_check.h"

static struct dunlin device;
static uint8_t arena[PORT_ARENA] __attribute__((aligned(16)));

static void stop(const char *why) {
    port_table.board->log(NULL, why);
    for (;;) { /* nothing kicks the watchdog: the board restarts, and tries again */
    }
}

int main(void) {
    const struct dunlin_config config = {.agent_version = "1.0.0", .arena = arena, .arena_size = sizeof arena};
    int failed = port_start();
    if (failed != 0)
        stop(dunlin_reason(failed));
    if (psa_crypto_init() != PSA_SUCCESS)
        stop("psa_crypto_init failed");
#ifdef PORT_CHECK /* while a port is being written: tries each part and says what is wrong */
    stop(port_check(port_table.flash, port_table.board, PORT_SPARE, PORT_KEY_CHECK) == 0 ? "port works" : "port fails");
#endif
    failed = dunlin_open(&device, &port_table, &config);
    if (failed != 0)
        stop(dunlin_reason(failed));
    for (;;) {
        int busy = dunlin_step(&device);
        /* Here the application reads its sensor and calls dunlin_infer(). */
        if (!busy)
            __asm__ volatile("wfi"); /* the tick or a byte wakes it; must be 10 ms or less */
    }
}
