/* The template on QEMU's mps2-an386: shows what a vendor.c looks like, and that the skeleton is whole. */
#include <string.h>

#include "board.h"
#include "port.h"
#include "semihosting.h"
#include "vendor.h"

void vendor_start(void) { clock_open(); }

int vendor_flash_erase(uintptr_t address) {
    memset((void *)address, 0xff, PORT_SECTOR);
    return 0;
}

int vendor_flash_program(uintptr_t address, const uint8_t *unit) {
    memcpy((void *)address, unit, PORT_WRITE);
    return 0;
}

/* The board's driver owns the receive interrupt and its ring: bytes are passed on when the tick is asked for. */
void vendor_uart_start(uint32_t baud) {
    (void)baud; /* QEMU moves bytes as fast as they are taken */
    uart_open();
}

int vendor_uart_put(uint8_t byte) { return uart_write(NULL, &byte, 1) == 1; }

uint32_t vendor_ms(void) {
    uint8_t byte;
    while (uart_read(NULL, &byte, 1) == 1)
        port_uart_received(byte);
    return (uint32_t)clock_ms(NULL);
}

int64_t vendor_unix_time(void) { return host_unix_time(); }

int vendor_random(uint32_t *word) { return host_random((uint8_t *)word, sizeof *word); }

void vendor_watchdog_kick(void) {} /* QEMU's time is its busy host's: a watchdog would bite at random */

void vendor_log(const char *line) {
    host_log(line);
    host_log("\n");
}
