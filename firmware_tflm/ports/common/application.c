#include "application.h"

#include <psa/crypto.h>
#include <stdio.h>
#include <string.h>

#include "dunlin/dunlin.h"
#include "flash_emulator.h"
#include "its_store.h"

enum { KEY_IDENTITY = 1, KEY_KEM = 2, KEY_KEM_NEXT = 3 };
enum { SECTOR = 4096, KEYS_BYTES = 32 * 1024, STORE_BYTES = 64 * 1024, SLOT_BYTES = 1024 * 1024 };
enum { ARENA_BYTES = 160 * 1024, INPUT_BYTES = 32 * 1024, TENSORS = 4, OUTPUT_SHOWN = 64, OUTPUTS_SHOWN = 4 };
enum { INFER_EVERY_MS = 100, STATUS_EVERY_MS = 200 };

static struct dunlin device;
static uint8_t arena[ARENA_BYTES] __attribute__((aligned(16)));
static uint8_t input[INPUT_BYTES];
static char line[1024];
static struct flash_emulator flash_memory;
static const struct application_board *board;
static const struct options *options;

static const char *const phases[] = {"idle",    "planned", "downloading", "verified",  "staged",      "loaded",
                                     "testing", "trial",   "probation",   "committed", "rolled-back", "refused"};

/* ---- lines ------------------------------------------------------------------------------------------------------------ */

static void hex(char *to, const uint8_t *from, size_t size) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    *to = '\0';
}

static void print_text(const char *key, const char *text) {
    char *to = line, *end = line + sizeof line - 8;
    to += snprintf(line, 32, "{\"%s\": \"", key);
    for (; *text != '\0' && to < end; text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        *to++ = *text < ' ' ? ' ' : *text;
    }
    strcpy(to, "\"}\n");
    board->print(line);
}

void application_fault(const struct application_board *on, const char *what) {
    board = on;
    print_text("fault", what);
}

static void print_status(const struct dunlin_status *s) {
    char serving[2 * DUNLIN_DIGEST + 1] = "";
    if (s->serving_slot >= 0)
        hex(serving, s->serving, DUNLIN_DIGEST);
    (void)snprintf(line, sizeof line,
                   "{\"status\": {\"device\": \"%s\", \"model\": \"%s\", \"phase\": \"%s\", \"error\": \"%s\", \"slot\": %d, "
                   "\"serving\": \"%s\", \"have\": %lu, \"need\": %lu, \"served\": %lu, \"boots\": %lu, \"bad_frames\": %lu, "
                   "\"operations\": %lu, \"stack\": %lu, \"heap\": %lu}}\n",
                   s->device, s->model, phases[s->phase], s->error == 0 ? "" : dunlin_reason(s->error), s->serving_slot,
                   serving, (unsigned long)s->chunks_have, (unsigned long)s->chunks_need, (unsigned long)s->served,
                   (unsigned long)s->boots, (unsigned long)s->bad_frames, (unsigned long)flash_memory.operations,
                   (unsigned long)(board->stack_used == NULL ? 0 : board->stack_used()),
                   (unsigned long)(board->heap_used == NULL ? 0 : board->heap_used()));
    board->print(line);
}

static void print_self_test(const struct dunlin_status *s) {
    char release[2 * DUNLIN_DIGEST + 1];
    hex(release, s->self_test.release, DUNLIN_DIGEST);
    (void)snprintf(line, sizeof line,
                   "{\"self_test\": {\"slot\": %d, \"release\": \"%s\", \"ok\": %s, \"slowest_us\": %lu}}\n",
                   s->self_test.slot, release, s->self_test.error == 0 ? "true" : "false",
                   (unsigned long)s->self_test.slowest_us);
    board->print(line);
}

/* What changed since the last call: turns of the update at once, counters five times a second. */
static void observe(void) {
    static struct dunlin_status last = {.phase = DUNLIN_REFUSED, .serving_slot = -2};
    static uint32_t operations;
    static uint64_t due;
    struct dunlin_status now;
    dunlin_status(&device, &now);
    const uint64_t ms = board->uptime_ms(NULL);
    const bool turned = now.phase != last.phase || now.error != last.error || now.serving_slot != last.serving_slot ||
                        memcmp(now.serving, last.serving, sizeof now.serving) != 0 || strcmp(now.device, last.device) != 0;
    const bool counted = now.chunks_have != last.chunks_have || now.served != last.served ||
                         flash_memory.operations != operations;
    if (now.self_test.count != last.self_test.count) {
        print_self_test(&now);
        last.self_test = now.self_test;
    }
    if (!turned && (!counted || ms < due))
        return;
    print_status(&now);
    last = now;
    operations = flash_memory.operations;
    due = ms + STATUS_EVERY_MS;
}

/* ---- the application ---------------------------------------------------------------------------------------------------- */

/* Bytes that are fair inputs as they are and as float32: the fourth of each four makes numbers from 0.125 to 0.5. */
static void fill(uint8_t *tensor, uint32_t size, uint32_t k) {
    for (uint32_t i = 0; i < size; i++)
        tensor[i] = i % 4 == 3 ? 0x3e : (uint8_t)(i * 37 + k * 11);
}

static void print_outputs(const struct dunlin_status *s, uint32_t k, const struct dunlin_span *outputs, size_t count) {
    char text[2 * OUTPUT_SHOWN + 1];
    hex(text, s->serving, DUNLIN_DIGEST);
    size_t at = (size_t)snprintf(line, sizeof line, "{\"outputs\": {\"release\": \"%s\", \"k\": %lu, \"values\": [", text,
                                 (unsigned long)k);
    for (size_t i = 0; i < count; i++) {
        hex(text, outputs[i].data, outputs[i].size < OUTPUT_SHOWN ? outputs[i].size : OUTPUT_SHOWN);
        at += (size_t)snprintf(line + at, sizeof line - at, "%s\"%s\"", i == 0 ? "" : ", ", text);
    }
    (void)snprintf(line + at, sizeof line - at, "]}}\n");
    board->print(line);
}

/* Ask the model, as a sensor's reader would; show what it said to the first few inputs of each release. */
static void infer_when_due(void) {
    static uint64_t due;
    static uint32_t k, shown;
    static uint8_t release[DUNLIN_DIGEST];
    struct dunlin_status s;
    struct dunlin_span inputs[TENSORS], outputs[TENSORS];
    uint32_t used = 0;
    if (!options->predict || board->uptime_ms(NULL) < due)
        return;
    due = board->uptime_ms(NULL) + INFER_EVERY_MS;
    dunlin_status(&device, &s);
    if (s.serving_slot < 0 || s.input_count > TENSORS || s.output_count > TENSORS)
        return;
    for (uint32_t i = 0; i < s.input_count; i++) {
        if (s.input_bytes[i] > sizeof input - used)
            return;
        fill(input + used, s.input_bytes[i], k);
        inputs[i] = (struct dunlin_span){input + used, s.input_bytes[i]};
        used += s.input_bytes[i];
    }
    if (dunlin_infer(&device, inputs, s.input_count, outputs, s.output_count) != 0)
        return;
    if (memcmp(release, s.serving, sizeof release) != 0) {
        memcpy(release, s.serving, sizeof release);
        shown = 0;
    }
    if (shown < OUTPUTS_SHOWN) {
        print_outputs(&s, k, outputs, s.output_count);
        shown++;
    }
    k++;
}

/* ---- the board ---------------------------------------------------------------------------------------------------------- */

static void power_cut(void *ctx) {
    const struct flash_emulator *flash = ctx;
    (void)snprintf(line, sizeof line, "{\"cut\": %lu}\n", (unsigned long)flash->operations);
    board->print(line);
    board->end(END_CUT);
}

static void broken_rule(void *ctx, const char *what, uint32_t offset) {
    char text[112];
    (void)ctx;
    (void)snprintf(text, sizeof text, "%s, at %#lx of the flash", what, (unsigned long)offset);
    print_text("fault", text);
    board->end(END_FAULT);
}

static void log_line(void *ctx, const char *text) {
    (void)ctx;
    print_text("log", text);
}

/* No watchdog: a simulated board's time is its host's, which may be too busy to run it for seconds. */
static void kick(void *ctx) { (void)ctx; }

static uint64_t uptime_ms(void *ctx) {
    const uint64_t now = board->uptime_ms(ctx);
    if (options->clock == CLOCK_FROZEN)
        return 0;
    return options->clock == CLOCK_BACKWARDS ? (UINT64_C(1) << 40) - now : now;
}

static uint32_t either(uint32_t chosen, uint32_t usual) { return chosen != 0 ? chosen : usual; }
static uint32_t at_least(uint32_t bytes, uint32_t least) { return bytes > least ? bytes : least; }
static uint32_t whole(uint32_t bytes, uint32_t sector) { return (bytes + sector - 1) / sector * sector; }

/* Keys, journal, slot, slot, from the start of the flash. Gives where the keys end; 0 if it is too small for all. */
static uint32_t lay_out(uint32_t sector, struct dunlin_layout *layout) {
    const uint64_t slot = whole(either(options->slot, SLOT_BYTES), sector);
    const uint32_t keys = at_least(KEYS_BYTES, 6 * sector), store = at_least(STORE_BYTES, 6 * sector);
    const uint64_t first = whole(keys + store, SLOT_BYTES > sector ? SLOT_BYTES : sector);
    if (first + 2 * slot > board->flash_size)
        return 0;
    *layout = (struct dunlin_layout){.store = keys, .store_size = store, .slot = {(uint32_t)first, (uint32_t)(first + slot)},
                                     .slot_size = (uint32_t)slot};
    return keys;
}

static bool sane(uint32_t size, uint32_t least, uint32_t most) {
    return size >= least && size <= most && (size & (size - 1)) == 0;
}

int application_run(const struct application_board *on, const struct options *with) {
    board = on;
    options = with;
    flash_memory = (struct flash_emulator){
        .base = on->flash, .size = on->flash_size, .sector = either(with->sector, SECTOR),
        .write = either(with->write, on->write), .cut_at = with->cut, .read_only = with->read_only, .worn = with->worn,
        .power_cut = power_cut, .fault = broken_rule, .ctx = &flash_memory,
    };
    if (with->worn_given)
        flash_memory.worn_end = with->worn + flash_memory.sector;
    struct dunlin_port port = {.identity_key = KEY_IDENTITY, .kem_key = {KEY_KEM, KEY_KEM_NEXT}};
    uint32_t keys_size = 0;
    if (sane(flash_memory.sector, 512, 131072) && sane(flash_memory.write, 1, 32) && with->arena <= sizeof arena)
        keys_size = lay_out(flash_memory.sector, &port.layout);
    if (keys_size == 0) {
        print_text("log", "sector, write, slot or arena are more than this board has");
        return END_USAGE;
    }
    const struct dunlin_flash flash = flash_emulator_flash(&flash_memory);
    const struct dunlin_board core_board = {
        .uptime_ms = uptime_ms, .unix_time = on->unix_time, .kick = kick, .log = log_line,
        .hardware_class = with->hardware_class != NULL ? with->hardware_class : on->hardware_class,
        .arch = on->arch, .memory = on->memory, .keystore = "flash",
    };
    const struct dunlin_config config = {.agent_version = "1.0.0", .arena = arena,
                                         .arena_size = either(with->arena, sizeof arena)};
    port.flash = &flash;
    port.pipe = on->pipe;
    port.board = &core_board;

    int failed = its_store_open(&flash, &core_board, 0, keys_size);
    if (failed != 0) /* keys that cannot be written may still be read, and the core says what does not work */
        print_text("log", "the key store does not open");
    failed = psa_crypto_init() == PSA_SUCCESS ? dunlin_open(&device, &port, &config) : DUNLIN_E_CRYPTO;
    if (failed != 0) {
        print_text("log", dunlin_reason(failed));
        return END_OPEN;
    }
    for (;;) {
        const int busy = dunlin_step(&device);
        infer_when_due();
        observe();
        if (busy == 0 && options->clock != CLOCK_FROZEN) /* without a tick nothing would wake it */
            on->idle();
    }
}
