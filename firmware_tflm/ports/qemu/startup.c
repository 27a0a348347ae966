/* From reset to main(): vectors, FPU, memory, a painted stack. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "semihosting.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CFSR 0xE000ED28u
#define STACK_LIMIT (1u << 20)
#define BFAR 0xE000ED38u
#define PAINT 0xD1D1D1D1u
#define EXIT_FAULT 70

/* linker script */
extern uint32_t stack_bottom_[], stack_top_[], data_[], data_end_[], data_image_[], bss_[], bss_end_[];

int main(void);
void reset(void);
void fault(void);
void start(void);
_Noreturn void report_fault(const uint32_t *frame);
void uart_interrupt(void);
void clock_interrupt(void);

typedef void (*handler)(void);
extern const handler init_array_[], init_array_end_[]; /* constructors of C++ objects */
/* The Cortex-M's own sixteen, then the board's interrupts. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler core[15];
    handler board[64];
} vectors = {stack_top_,
             {reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, clock_interrupt},
             {[BOARD_UART0_RX_IRQ] = uart_interrupt}};

/* The FPU (and MVE) must be on before any C code, and on the Cortex-M55 the stack has a limit in hardware. On the
 * Cortex-M4 the stack is the first thing in RAM: what overflows it leaves the RAM and faults as well. */
__attribute__((naked, noreturn)) void reset(void) {
    __asm__ volatile("ldr r0, =0xE000ED88\n" /* CPACR: CP10 and CP11 */
                     "ldr r1, [r0]\n"
                     "orr r1, r1, #(0xF << 20)\n"
                     "str r1, [r0]\n"
                     "dsb\n"
                     "isb\n"
#ifndef BOARD_AN386
                     "ldr r0, =stack_bottom_\n"
                     "msr msplim, r0\n"
#endif
                     "b start\n");
}

void start(void) {
    REGISTER(0xE000ED08u) = (uint32_t)(uintptr_t)&vectors; /* VTOR */
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *word = stack_bottom_; word < here - 8; word++)
        *(volatile uint32_t *)word = PAINT;
    memcpy(data_, data_image_, (size_t)((uint8_t *)data_end_ - (uint8_t *)data_));
    memset(bss_, 0, (size_t)((uint8_t *)bss_end_ - (uint8_t *)bss_));
    for (const handler *construct = init_array_; construct < init_array_end_; construct++)
        (*construct)();
    host_exit(main());
}

uint32_t stack_used(void) {
    const uint32_t *word = stack_bottom_;
    while (word < stack_top_ && *word == PAINT)
        word++;
    return (uint32_t)((const uint8_t *)stack_top_ - (const uint8_t *)word);
}

/* A fault may come from a stack that is full: the report starts with a fresh one. */
__attribute__((naked, noreturn)) void fault(void) {
    __asm__ volatile("mrs r0, msp\n"
                     "ldr r1, =stack_top_\n"
                     "mov sp, r1\n"
                     "b report_fault\n");
}

_Noreturn void report_fault(const uint32_t *frame) {
    /* Words of the frame that the hardware pushed, unless it had no room to. */
    bool pushed = frame >= stack_bottom_ && frame + 8 <= stack_top_;
    bool overflow = !pushed || (REGISTER(CFSR) & STACK_LIMIT) != 0;
    char line[112];
    (void)snprintf(line, sizeof line, "{\"fault\": \"pc=%08lx lr=%08lx cfsr=%08lx bfar=%08lx%s\"}\n",
                   (unsigned long)(pushed ? frame[6] : 0), (unsigned long)(pushed ? frame[5] : 0),
                   (unsigned long)REGISTER(CFSR), (unsigned long)REGISTER(BFAR), overflow ? " (stack overflow)" : "");
    host_log(line);
    host_exit(EXIT_FAULT);
}
