/* The words `key=value` that a simulated board takes: the host port as arguments, QEMU with `-semihosting-config arg=`. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option_clock { CLOCK_GOOD, CLOCK_FROZEN, CLOCK_BACKWARDS };

struct options { /* zero and NULL: not given */
    const char *flash;          /* flash=FILE (host) */
    const char *link;           /* link=tcp:HOST:PORT, to listen on (host) */
    const char *runtime;        /* runtime=DIR, of the pipes of a lent interpreter (host) */
    const char *hardware_class; /* class=NAME */
    uint32_t arena;             /* arena=BYTES that the application offers */
    uint32_t slot;              /* slot=BYTES */
    uint32_t sector, write;     /* sector=BYTES write=BYTES of the emulated flash */
    uint32_t cut;               /* cut=N: power fails in flash operation N of this run, half of it done */
    uint32_t worn;              /* worn=OFFSET: the sector there keeps what it holds */
    bool worn_given;
    bool read_only;             /* readonly=1: no flash operation works */
    bool no_entropy;            /* entropy=none */
    bool predict;               /* predict=1: the application infers about ten times a second */
    enum option_clock clock;    /* clock=frozen|backwards: what the core is told of the time since boot */
};

/* Read one word into `options`; strings stay where they are. Whether it means anything. */
bool options_word(const char *word, struct options *options);
/* Read a line of words, taken apart in place. NULL, or the first word that means nothing. */
const char *options_line(char *line, struct options *options);

#endif
