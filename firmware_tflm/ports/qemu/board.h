/* QEMU's two boards: Arm MPS2 with the AN386 image (Cortex-M4) and MPS3 with AN547 (Cortex-M55). */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef BOARD_AN386
#define BOARD_CLASS "cortex-m4"
#define BOARD_ARCH "armv7e-m"
#define BOARD_NAME "mps2-an386"
#define BOARD_HZ 25000000u
#define BOARD_UART0 0x40004000u
#define BOARD_UART0_RX_IRQ 0
/* RAM that `-object memory-backend-file,share=on` keeps in a file: what this port uses as flash. */
#define BOARD_NVM 0x21000000u
#define BOARD_WRITE 8u
#else
#define BOARD_CLASS "cortex-m55"
#define BOARD_ARCH "armv8.1-m.main"
#define BOARD_NAME "mps3-an547"
#define BOARD_HZ 32000000u
#define BOARD_UART0 0x49303000u
#define BOARD_UART0_RX_IRQ 33
#define BOARD_NVM 0x60000000u
#define BOARD_WRITE 16u
#endif

#define BOARD_NVM_SIZE 0x00400000u /* as much of it as is used */

/* startup.c. Bytes of the stack that were ever used. */
uint32_t stack_used(void);
/* system.c. Bytes that malloc ever took: only the crypto library takes any. */
uint32_t heap_used(void);

void uart_open(void);
size_t uart_read(void *ctx, uint8_t *data, size_t room);
size_t uart_write(void *ctx, const uint8_t *data, size_t length);

void clock_open(void);
uint64_t clock_ms(void *ctx);

#endif
