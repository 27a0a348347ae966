/* A device as a process: flash in a file that outlives it, the link on a TCP port, lines of JSON on stdout.
 *
 *     firmware flash=FILE link=tcp:127.0.0.1:PORT [key=value ...]           (words: ports/common/options.h) */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "application.h"
#ifdef DUNLIN_LENT
#include "lent_infer.h"
#endif
#include "random.h"

enum { MEMORY = 256 * 1024, WRITE_UNIT = 8, IDLE_MS = 10 };

static struct options options;
static int listener = -1, peer = -1;

int board_random(uint8_t *out, size_t size)
{
    return options.no_entropy || getrandom(out, size, 0) != (ssize_t)size ? -1 : 0;
}

/* ---- link ------------------------------------------------------------------------------------------------------ */

static bool listen_on(const char *link)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(link, ':');
    char host[64];
    int on = 1;

    if (strncmp(link, "tcp:", 4) != 0 || colon < link + 4 || (size_t)(colon - link - 4) >= sizeof host)
        return false;
    memcpy(host, link + 4, (size_t)(colon - link - 4));
    host[colon - link - 4] = 0;
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return false;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    return listener >= 0 && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0;
}

static void hang_up(void)
{
    close(peer);
    peer = -1;
}

/* One gateway at a time, as on a serial line; who connects later takes over. */
static void accept_peer(void)
{
    int on = 1, fresh = listener < 0 ? -1 : accept(listener, NULL, NULL);

    if (fresh < 0)
        return;
    if (peer >= 0)
        hang_up();
    peer = fresh;
    (void)fcntl(peer, F_SETFL, O_NONBLOCK);
    (void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static size_t pipe_read(void *ctx, uint8_t *data, size_t room)
{
    ssize_t got;

    (void)ctx;
    accept_peer();
    if (peer < 0)
        return 0;
    got = read(peer, data, room);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        hang_up();
    return got > 0 ? (size_t)got : 0;
}

/* Without a peer the bytes are lost, as on an open wire. */
static size_t pipe_write(void *ctx, const uint8_t *data, size_t length)
{
    ssize_t sent;

    (void)ctx;
    if (peer < 0)
        return length;
    sent = write(peer, data, length);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        hang_up();
    return sent > 0 ? (size_t)sent : 0;
}

static void idle(void)
{
    struct pollfd on[2] = {{.fd = peer, .events = POLLIN}, {.fd = listener, .events = POLLIN}};

    (void)poll(on, 2, IDLE_MS);
}

/* ---- clock, output --------------------------------------------------------------------------------------------- */

static uint64_t uptime_ms(void *ctx)
{
    static struct timespec start;
    struct timespec now;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (start.tv_sec == 0)
        start = now;
    return (uint64_t)(now.tv_sec - start.tv_sec) * 1000u + (uint64_t)(now.tv_nsec / 1000000) -
           (uint64_t)(start.tv_nsec / 1000000);
}

static int64_t unix_time(void *ctx)
{
    (void)ctx;
    return time(NULL);
}

static void print(const char *line)
{
    (void)fputs(line, stdout);
    (void)fflush(stdout);
}

static void end(int code) { _exit(code); }

/* ---- flash, interpreter ---------------------------------------------------------------------------------------- */

static uint8_t *map_flash(const char *name, uint32_t *size)
{
    struct stat about;
    int file = open(name, O_RDWR);
    void *at;

    if (file < 0 || fstat(file, &about) != 0 || about.st_size <= 0 || about.st_size > INT32_MAX)
        return NULL;
    at = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    *size = (uint32_t)about.st_size;
    return at == MAP_FAILED ? NULL : at;
}

#ifdef DUNLIN_LENT
static int lender_in = -1, lender_out = -1;

static bool lender_send(void *ctx, const void *data, size_t size)
{
    const uint8_t *from = data;
    ssize_t n;

    (void)ctx;
    for (; size > 0; from += n, size -= (size_t)n)
        if ((n = write(lender_in, from, size)) <= 0)
            return false;
    return true;
}

static bool lender_receive(void *ctx, void *data, size_t size)
{
    uint8_t *to = data;
    ssize_t n;

    (void)ctx;
    for (; size > 0; to += n, size -= (size_t)n)
        if ((n = read(lender_out, to, size)) <= 0)
            return false;
    return true;
}

/* The interpreter that tools/lend-runtime lends, on its named pipes. */
static bool borrow_runtime(const char *folder)
{
    static const struct lent_pipe pipe = {.send = lender_send, .receive = lender_receive};
    char name[512];

    (void)snprintf(name, sizeof name, "%s/to", folder);
    lender_in = open(name, O_WRONLY);
    (void)snprintf(name, sizeof name, "%s/from", folder);
    lender_out = open(name, O_RDONLY);
    lent_infer_use(&pipe);
    return lender_in >= 0 && lender_out >= 0;
}
#else
static bool borrow_runtime(const char *folder)
{
    (void)folder;
    return false; /* this firmware has its own interpreter, or none */
}
#endif

int main(int argc, char **argv)
{
    static const struct dunlin_pipe pipe = {.read = pipe_read, .write = pipe_write};
    struct application_board board = {
        .write = WRITE_UNIT, .pipe = &pipe, .uptime_ms = uptime_ms, .unix_time = unix_time, .print = print, .end = end,
        .idle = idle, .hardware_class = "host", .memory = MEMORY,
#if defined __x86_64__
        .arch = "x86_64",
#elif defined __aarch64__
        .arch = "aarch64",
#else
        .arch = "host",
#endif
    };
    int i;

    (void)signal(SIGPIPE, SIG_IGN);
    for (i = 1; i < argc; i++)
        if (!options_word(argv[i], &options)) {
            application_fault(&board, argv[i]);
            return END_USAGE;
        }
    board.flash = options.flash == NULL ? NULL : map_flash(options.flash, &board.flash_size);
    if (board.flash == NULL) {
        application_fault(&board, "flash=FILE must name a file that can be read and written, of the flash's size");
        return END_USAGE;
    }
    if (options.link != NULL && !listen_on(options.link)) {
        application_fault(&board, "link=tcp:HOST:PORT must be a free port of this machine");
        return END_USAGE;
    }
    if (options.runtime != NULL && !borrow_runtime(options.runtime)) {
        application_fault(&board, "runtime=DIR must hold the pipes of tools/lend-runtime");
        return END_USAGE;
    }
    return application_run(&board, &options);
}
