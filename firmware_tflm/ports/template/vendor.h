/* What the template asks of a chip, as its vendor's library gives it: write these ten functions in a vendor.c.
 * README.md says what they are called on STM32 and ESP32-S3; vendor_an386.c does it for QEMU's board. */
#ifndef VENDOR_H
#define VENDOR_H

#include <stddef.h>
#include <stdint.h>

/* Clocks, pins, flash latency: everything before the first interrupt. */
void vendor_start(void);

/* Flash. `address` is where the processor reads it. Return once the bytes read back: wait for the controller, and
 * invalidate the data cache over the range if there is one. 0, or -1 (write protection, ECC or programming error). */
int vendor_flash_erase(uintptr_t address);                        /* one sector of PORT_SECTOR bytes */
int vendor_flash_program(uintptr_t address, const uint8_t *unit); /* one write unit of PORT_WRITE bytes, erased before */

/* UART for the link, 8N1, without echo or flow control. */
void vendor_uart_start(uint32_t baud);
int vendor_uart_put(uint8_t byte); /* 1: taken; 0: the transmitter is full */
/* Call port_uart_received(byte) from the receive interrupt (or the DMA's), for every byte. */
void port_uart_received(uint8_t byte);

/* Milliseconds since reset. It may wrap at 2^32: the template extends it. */
uint32_t vendor_ms(void);
/* Seconds since 1970 from a battery-backed clock; 0 where there is none. It is reported, never believed. */
int64_t vendor_unix_time(void);

/* A word from the hardware random generator, after its own health tests. 0, or -1 if it gives nothing. Before the
 * generator's clock runs, or with the radio off on some chips, it gives nothing good: return -1 then. */
int vendor_random(uint32_t *word);

/* Restart the watchdog: set it to 8 s or more, since a P-256 signature may take a second. */
void vendor_watchdog_kick(void);
/* One line for people, on a second UART, RTT or SWO; may do nothing. */
void vendor_log(const char *line);

#endif
