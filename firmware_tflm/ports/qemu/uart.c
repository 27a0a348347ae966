/* CMSDK APB UART 0: the link. Bytes are taken by interrupt into a ring, since a signature takes longer than the
 * hardware's one-byte buffer lasts. */
#include "board.h"

#define DATA (*(volatile uint32_t *)(BOARD_UART0 + 0x00))
#define STATE (*(volatile uint32_t *)(BOARD_UART0 + 0x04))
#define CTRL (*(volatile uint32_t *)(BOARD_UART0 + 0x08))
#define INTSTATUS (*(volatile uint32_t *)(BOARD_UART0 + 0x0c))
#define BAUDDIV (*(volatile uint32_t *)(BOARD_UART0 + 0x10))
#define NVIC_ISER ((volatile uint32_t *)0xE000E100u)
enum { TX_FULL = 1, RX_FULL = 2, TX_ENABLE = 1, RX_ENABLE = 2, RX_INTERRUPT = 8, RX_PENDING = 2 };

/* Holds the link's window of 1024 bytes and what repeats of it may be under way. */
static uint8_t ring[4096];
static volatile uint32_t head, tail; /* written by the interrupt; by uart_read() */

void uart_interrupt(void);

void uart_open(void) {
    BAUDDIV = 16; /* the fastest that the UART takes; QEMU does not pace bytes by it */
    CTRL = TX_ENABLE | RX_ENABLE | RX_INTERRUPT;
    (void)DATA; /* without this read QEMU never asks its host side for the first byte */
    NVIC_ISER[BOARD_UART0_RX_IRQ / 32] = 1u << (BOARD_UART0_RX_IRQ % 32);
}

void uart_interrupt(void) {
    INTSTATUS = RX_PENDING;
    while (STATE & RX_FULL) {
        uint8_t byte = (uint8_t)DATA;
        if (head - tail < sizeof ring) /* else lost, as on any line: the link repeats it */
            ring[head++ % sizeof ring] = byte;
    }
}

size_t uart_read(void *ctx, uint8_t *data, size_t room) {
    (void)ctx;
    size_t got = 0;
    while (got < room && tail != head)
        data[got++] = ring[tail++ % sizeof ring];
    return got;
}

size_t uart_write(void *ctx, const uint8_t *data, size_t length) {
    (void)ctx;
    size_t sent = 0;
    while (sent < length && !(STATE & TX_FULL))
        DATA = data[sent++];
    return sent;
}
