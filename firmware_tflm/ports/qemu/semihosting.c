#include "semihosting.h"

#include <string.h>

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_TIME = 0x11, SYS_GET_CMDLINE = 0x15,
       SYS_EXIT_EXTENDED = 0x20 };

static int32_t call(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0), "+r"(r1) : : "memory");
    return (int32_t)r0;
}

_Noreturn void host_exit(int code) {
    const uint32_t block[2] = {0x20026u /* ADP_Stopped_ApplicationExit */, (uint32_t)code};
    (void)call(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

void host_log(const char *text) { (void)call(SYS_WRITE0, text); }

void host_arguments(char *line, size_t room) {
    struct {
        char *line;
        uint32_t room;
    } block = {line, (uint32_t)room};
    if (call(SYS_GET_CMDLINE, &block) != 0)
        line[0] = '\0';
    line[room - 1] = '\0';
}

int host_open(const char *name, bool for_writing) {
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, for_writing ? 5 : 1 /* "wb", "rb" */, (uint32_t)strlen(name)};
    return call(SYS_OPEN, block);
}

/* SYS_READ and SYS_WRITE say how many bytes are left to do. */
static bool transfer(uint32_t operation, int file, uintptr_t data, size_t size) {
    while (size > 0) {
        const uint32_t block[3] = {(uint32_t)file, (uint32_t)data, (uint32_t)size};
        const int32_t left = call(operation, block);
        if (left < 0 || (size_t)left >= size)
            return false;
        data += size - (size_t)left;
        size = (size_t)left;
    }
    return true;
}

bool host_read(int file, void *data, size_t size) { return transfer(SYS_READ, file, (uintptr_t)data, size); }

bool host_write(int file, const void *data, size_t size) { return transfer(SYS_WRITE, file, (uintptr_t)data, size); }

int host_random(uint8_t *out, size_t size) {
    static int file = -1;
    if (file < 0)
        file = host_open("/dev/urandom", false);
    return file >= 0 && host_read(file, out, size) ? 0 : -1;
}

int64_t host_unix_time(void) { return (int64_t)(uint32_t)call(SYS_TIME, NULL); }
