/* What the firmware asks of QEMU itself (Arm semihosting): its arguments, random bytes, a log, the date, an end. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ends QEMU's process with this exit code. */
_Noreturn void host_exit(int code);
void host_log(const char *text);
/* The words of `-semihosting-config arg=...`, with spaces between; empty if there are none. */
void host_arguments(char *line, size_t room);
/* From the host's /dev/urandom. 0 or -1. */
int host_random(uint8_t *out, size_t size);
int64_t host_unix_time(void);

/* A file or pipe of the host. Below zero: it does not open. */
int host_open(const char *name, bool for_writing);
/* All of the bytes, waiting for them, or false. */
bool host_read(int file, void *data, size_t size);
bool host_write(int file, const void *data, size_t size);

#endif
