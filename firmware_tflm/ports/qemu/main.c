/* A device on QEMU: flash in a file of the host, the link on UART 0, lines of JSON through semihosting. */
#include <stdbool.h>
#include <stdio.h>

#include "application.h"
#include "board.h"
#ifdef DUNLIN_LENT
#include "lent_infer.h"
#endif
#include "random.h"
#include "semihosting.h"

static struct options options;

int board_random(uint8_t *out, size_t size) { return options.no_entropy ? -1 : host_random(out, size); }

static int64_t unix_time(void *ctx) {
    (void)ctx;
    return host_unix_time();
}

static void end(int code) { host_exit(code); }

/* Until a byte arrives, or the next millisecond. */
static void idle(void) { __asm__ volatile("wfi"); }

#ifdef DUNLIN_LENT
static int lender_in = -1, lender_out = -1;

static bool lender_send(void *ctx, const void *data, size_t size) {
    (void)ctx;
    return host_write(lender_in, data, size);
}

static bool lender_receive(void *ctx, void *data, size_t size) {
    (void)ctx;
    return host_read(lender_out, data, size);
}

/* The interpreter that tools/lend-runtime lends, on its named pipes. */
static bool borrow_runtime(const char *folder) {
    static const struct lent_pipe pipe = {.send = lender_send, .receive = lender_receive};
    char name[256];
    (void)snprintf(name, sizeof name, "%s/to", folder);
    lender_in = host_open(name, true);
    (void)snprintf(name, sizeof name, "%s/from", folder);
    lender_out = host_open(name, false);
    lent_infer_use(&pipe);
    return lender_in >= 0 && lender_out >= 0;
}
#else
static bool borrow_runtime(const char *folder) {
    (void)folder;
    return false; /* this firmware has its own interpreter, or none */
}
#endif

/* The first word is the program's name, as everywhere. */
static const char *parse(char *words) {
    while (*words != '\0' && *words != ' ')
        words++;
    return options_line(words, &options);
}

int main(void) {
    static char words[512];
    static const struct dunlin_pipe pipe = {.read = uart_read, .write = uart_write};
    static const struct application_board board = {
        .flash = (uint8_t *)BOARD_NVM, .flash_size = BOARD_NVM_SIZE, .write = BOARD_WRITE, .pipe = &pipe,
        .uptime_ms = clock_ms, .unix_time = unix_time, .print = host_log, .end = end, .idle = idle,
        .stack_used = stack_used, .heap_used = heap_used,
        .hardware_class = BOARD_CLASS, .arch = BOARD_ARCH, .memory = 256 * 1024,
    };
    host_arguments(words, sizeof words);
    const char *unknown = parse(words);
    if (unknown != NULL) {
        application_fault(&board, unknown);
        return END_USAGE;
    }
    if (options.runtime != NULL && !borrow_runtime(options.runtime)) {
        application_fault(&board, "runtime=DIR: no lender answers there");
        return END_USAGE;
    }
    clock_open();
    uart_open();
    return application_run(&board, &options);
}
