/* A board for Dunlin, from the functions of vendor.h: flash, byte pipe, clock, randomness, key store. */
#include "port.h"

#include <string.h>

#include "its_store.h"
#include "random.h"
#include "vendor.h"

/* ---- flash ----------------------------------------------------------------------------------------------------------
 * The core hands over whole sectors and whole write units, and reads everything back itself; ranges are checked all the
 * same, since a wrong one could erase the firmware. */

_Static_assert((PORT_SECTOR & (PORT_SECTOR - 1)) == 0 && PORT_SECTOR >= 512, "sector: a power of two");
_Static_assert((PORT_WRITE & (PORT_WRITE - 1)) == 0 && PORT_WRITE <= 32, "write unit: a power of two, 32 at most");
#define WHOLE(number) ((number) % PORT_SECTOR == 0)
_Static_assert(WHOLE(PORT_KEYS) && WHOLE(PORT_STORE) && WHOLE(PORT_SPARE) && WHOLE(PORT_SLOT_0) && WHOLE(PORT_SLOT_1) &&
                   WHOLE(PORT_SLOT_SIZE), "whole sectors");
_Static_assert(WHOLE(PORT_KEYS_SIZE / 2) && PORT_KEYS_SIZE >= 8192, "keys: two areas of whole sectors, 8 KiB together");
_Static_assert(WHOLE(PORT_STORE_SIZE / 2) && PORT_STORE_SIZE >= 32768, "journal: two areas of whole sectors, 32 KiB together");
_Static_assert(PORT_KEYS + PORT_KEYS_SIZE <= PORT_STORE && PORT_STORE + PORT_STORE_SIZE <= PORT_SPARE &&
                   PORT_SPARE + 2 * PORT_SECTOR <= PORT_SLOT_0 && PORT_SLOT_0 + PORT_SLOT_SIZE <= PORT_SLOT_1 &&
                   PORT_SLOT_1 + PORT_SLOT_SIZE <= PORT_FLASH_SIZE, "in order, without overlap, within the flash");

static int in_flash(uint32_t offset, uint32_t length, uint32_t unit) {
    return offset % unit == 0 && length % unit == 0 && length <= PORT_FLASH_SIZE && offset <= PORT_FLASH_SIZE - length;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t length) {
    (void)ctx;
    if (!in_flash(offset, length, PORT_SECTOR))
        return -1;
    for (uint32_t at = 0; at < length; at += PORT_SECTOR)
        if (vendor_flash_erase(PORT_FLASH_BASE + offset + at) != 0)
            return -1;
    return 0;
}

static int flash_program(void *ctx, uint32_t offset, const uint8_t *data, uint32_t length) {
    /* The controller wants an aligned source, and the source must not be flash while flash is being programmed. */
    uint64_t aligned[PORT_WRITE / sizeof(uint64_t) + 1];
    uint8_t *unit = (uint8_t *)aligned;
    (void)ctx;
    if (!in_flash(offset, length, PORT_WRITE))
        return -1;
    for (uint32_t at = 0; at < length; at += PORT_WRITE) {
        memcpy(unit, data + at, PORT_WRITE);
        if (vendor_flash_program(PORT_FLASH_BASE + offset + at, unit) != 0)
            return -1;
    }
    return 0;
}

static const struct dunlin_flash flash = {
    .base = (const uint8_t *)PORT_FLASH_BASE,
    .size = PORT_FLASH_SIZE,
    .sector = PORT_SECTOR,
    .write = PORT_WRITE,
    .erase = flash_erase,
    .program = flash_program,
};

/* ---- link -----------------------------------------------------------------------------------------------------------
 * Receiving goes through a ring that an interrupt fills: the core is away for up to a second while it verifies a
 * signature. The gateway sends at most 1024 bytes that were asked for, plus offers, so 2 KiB are enough. */

static uint8_t ring[2048];
static volatile uint32_t ring_in, ring_out; /* each written on one side only; they run on and wrap together */

void port_uart_received(uint8_t byte) {
    if (ring_in - ring_out < sizeof ring)
        ring[ring_in++ % sizeof ring] = byte; /* else lost, as line noise would: the link asks again */
}

static size_t pipe_read(void *ctx, uint8_t *data, size_t room) {
    size_t got = 0;
    (void)ctx;
    while (got < room && ring_out != ring_in)
        data[got++] = ring[ring_out++ % sizeof ring];
    return got;
}

static size_t pipe_write(void *ctx, const uint8_t *data, size_t length) {
    size_t sent = 0;
    (void)ctx;
    while (sent < length && vendor_uart_put(data[sent]))
        sent++;
    return sent; /* fewer than `length`: the core comes back with the rest */
}

static const struct dunlin_pipe pipe = {.read = pipe_read, .write = pipe_write};

/* ---- clock, watchdog, log ------------------------------------------------------------------------------------------- */

static uint64_t uptime_ms(void *ctx) {
    static uint32_t last, wraps;
    uint32_t now = vendor_ms();
    (void)ctx;
    if (now < last) /* the core asks far more often than every 49 days */
        wraps++;
    last = now;
    return (uint64_t)wraps << 32 | now;
}

static int64_t unix_time(void *ctx) {
    (void)ctx;
    return vendor_unix_time();
}

static void kick(void *ctx) {
    (void)ctx;
    vendor_watchdog_kick();
}

static void log_line(void *ctx, const char *line) {
    (void)ctx;
    vendor_log(line);
}

static const struct dunlin_board board = {
    .uptime_ms = uptime_ms,
    .unix_time = unix_time,
    .kick = kick,
    .log = log_line,
    .hardware_class = PORT_HARDWARE_CLASS,
    .arch = PORT_ARCH,
    .memory = PORT_MEMORY,
    .keystore = PORT_KEYSTORE,
};

/* ---- randomness -----------------------------------------------------------------------------------------------------
 * The crypto library's only source. A failure must stay a failure: never fill in with a counter or the time. */

int board_random(uint8_t *out, size_t size) {
    uint32_t word, last = 0;
    for (size_t at = 0; at < size; at += sizeof word) {
        if (vendor_random(&word) != 0 || (at > 0 && word == last))
            return -1; /* the same word twice: continuous test of FIPS 140-2, 4.9.2 */
        last = word;
        memcpy(out + at, &word, size - at < sizeof word ? size - at : sizeof word);
    }
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

const struct dunlin_port port_table = {
    .flash = &flash,
    .pipe = &pipe,
    .board = &board,
    .layout = {.store = PORT_STORE, .store_size = PORT_STORE_SIZE, .slot = {PORT_SLOT_0, PORT_SLOT_1},
               .slot_size = PORT_SLOT_SIZE},
    .identity_key = PORT_KEY_IDENTITY,
    .kem_key = {PORT_KEY_KEM_0, PORT_KEY_KEM_1},
};

int port_start(void) {
    vendor_start();
    vendor_uart_start(PORT_BAUD);
    /* With a key store of the vendor's own (TF-M, a secure element) this line goes, and its_store.c with it. */
    return its_store_open(&flash, &board, PORT_KEYS, PORT_KEYS_SIZE);
}
