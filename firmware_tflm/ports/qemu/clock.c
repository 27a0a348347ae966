/* SysTick: a millisecond counter. Its interrupt also ends the main loop's waits. */
#include "board.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

static volatile uint32_t ticks, wraps;

void clock_interrupt(void);

void clock_open(void) {
    SYST_RVR = BOARD_HZ / 1000 - 1;
    SYST_CVR = 0;
    SYST_CSR = 7; /* processor clock, interrupt, enable */
}

void clock_interrupt(void) {
    if (++ticks == 0)
        wraps++;
}

uint64_t clock_ms(void *ctx) {
    (void)ctx;
    uint32_t high, low;
    do {
        high = wraps;
        low = ticks;
    } while (high != wraps);
    return (uint64_t)high << 32 | low;
}
