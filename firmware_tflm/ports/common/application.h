/* A simulated board's firmware, the same for the host port and QEMU: the core over an emulated flash, with its state told
 * in lines of JSON, and a small application that runs the model about ten times a second (README.md, "Simulated boards"). */
#ifndef APPLICATION_H
#define APPLICATION_H

#include <stddef.h>
#include <stdint.h>

#include "dunlin/port.h"
#include "options.h"

/* Exit codes of a simulated board. */
enum { END_OPEN = 1, END_USAGE = 64, END_FAULT = 70, END_CUT = 75 };

struct application_board {
    uint8_t *flash; /* plain memory; `write` unless the options say otherwise, sectors of 4096 bytes likewise */
    uint32_t flash_size, write;
    const struct dunlin_pipe *pipe;
    uint64_t (*uptime_ms)(void *ctx);
    int64_t (*unix_time)(void *ctx);
    void (*print)(const char *line); /* with its newline */
    void (*end)(int code);           /* leave at once; does not return */
    void (*idle)(void);              /* until a byte arrives, at most 10 ms */
    uint32_t (*stack_used)(void);    /* bytes ever used; NULL where nothing measures them */
    uint32_t (*heap_used)(void);
    const char *hardware_class, *arch;
    uint32_t memory;
};

/* Run until power is cut. Gives an END_... code when the board cannot be set up. */
int application_run(const struct application_board *board, const struct options *options);
/* {"fault": "..."}, for ports that notice one of their own. */
void application_fault(const struct application_board *board, const char *what);

#endif
