#define _GNU_SOURCE
#include "world.h"

#include <psa/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/crc32.h"
#include "its_store.h"
#include "random.h"

enum { PIPE = 64 * 1024, OBJECTS = 256, FILES = 64, OFFER_EVERY_MS = 3000, STEPS_A_MS = 4 };

struct world world;

static const char *folder;
static struct {
    uint8_t name[DUNLIN_DIGEST];
    struct dunlin_span data;
} objects[OBJECTS];
static unsigned object_count;

/* ---- pipes ----------------------------------------------------------------------------------------------------- */

struct ring {
    uint8_t data[PIPE];
    size_t from, size;
};
static struct ring to_device, to_gateway;

static void put(struct ring *ring, const uint8_t *data, size_t size)
{
    static uint32_t seed = 1;

    for (; size > 0 && ring->size < PIPE; data++, size--) {
        uint8_t byte = *data;

        if (world.noise) {
            seed = seed * 1664525u + 1013904223u;
            if ((seed >> 8) % world.noise == 0) {
                if (seed >> 31)
                    continue;
                byte = (uint8_t)(seed >> 16);
            }
        }
        ring->data[(ring->from + ring->size++) % PIPE] = byte;
    }
}

static size_t take(struct ring *ring, uint8_t *data, size_t room)
{
    size_t i;

    for (i = 0; i < room && ring->size > 0; i++, ring->size--) {
        data[i] = ring->data[ring->from];
        ring->from = (ring->from + 1) % PIPE;
    }
    return i;
}

static size_t pipe_read(void *ctx, uint8_t *data, size_t room)
{
    (void)ctx;
    return take(&to_device, data, room);
}

static size_t pipe_write(void *ctx, const uint8_t *data, size_t length)
{
    (void)ctx;
    if (world.unplugged)
        return 0;
    if (length > 100)
        length = 100; /* a small FIFO */
    put(&to_gateway, data, length);
    return length;
}

/* ---- board ----------------------------------------------------------------------------------------------------- */

int board_random(uint8_t *out, size_t size)
{
    static uint32_t seed = 7;

    if (world.no_random)
        return -1;
    while (size--) {
        seed = seed * 1664525u + 1013904223u;
        *out++ = (uint8_t)(seed >> 24);
    }
    return 0;
}

static uint64_t uptime(void *ctx)
{
    (void)ctx;
    return world.clock_stopped ? 0 : world.now_ms;
}

static int64_t unix_time(void *ctx)
{
    (void)ctx;
    return world.unix_time;
}

static void kick(void *ctx) { (void)ctx; }

static void say(void *ctx, const char *line)
{
    (void)ctx;
    if (getenv("WORLD_LOG"))
        (void)fprintf(stderr, "%8llu %s\n", (unsigned long long)world.now_ms, line);
}

static void power_cut(void *ctx)
{
    (void)ctx;
    _exit(WORLD_END_CUT);
}

static void fault(void *ctx, const char *what, uint32_t offset)
{
    (void)ctx;
    (void)fprintf(stderr, "flash: %s at %#x\n", what, (unsigned)offset);
    abort();
}

static const struct dunlin_pipe pipe_of_world = {.read = pipe_read, .write = pipe_write};
static const struct dunlin_board board = {
    .uptime_ms = uptime, .unix_time = unix_time, .kick = kick, .log = say,
    .hardware_class = "test-board", .arch = "test", .memory = 256 * 1024, .keystore = "flash",
};
static struct dunlin_flash flash;

static struct {
    struct dl_decoder decoder;
    struct dunlin_span offer[DL_OFFER_END];
    uint8_t name[DL_OFFER_END][DUNLIN_DIGEST];
    uint64_t offer_due;
    uint8_t nonce[DUNLIN_ID];
    uint8_t up[WORLD_UP_BYTES];
    uint16_t up_id, up_have;
    bool up_whole;
} gateway;

/* ---- fixture --------------------------------------------------------------------------------------------------- */

struct dunlin_span world_file(const char *name)
{
    static struct {
        char name[32];
        struct dunlin_span data;
    } files[FILES]; /* read once */
    unsigned place = 0;
    char path[512];
    FILE *file;
    uint8_t *data;
    long size;

    while (files[place].data.data && strcmp(files[place].name, name) != 0)
        CHECK(++place < FILES);
    if (files[place].data.data)
        return files[place].data;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file) {
        (void)fprintf(stderr, "%s: not there; tests.firmware.make_fixture writes it\n", path);
        exit(1);
    }
    CHECK(fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0);
    rewind(file);
    data = malloc((size_t)size + 1);
    CHECK(data && fread(data, 1, (size_t)size, file) == (size_t)size);
    (void)fclose(file);
    (void)snprintf(files[place].name, sizeof files[place].name, "%s", name);
    files[place].data = (struct dunlin_span){data, (size_t)size};
    return files[place].data;
}

static void load_objects(void)
{
    struct dunlin_span all = world_file("objects");
    size_t at = 0;
    uint32_t size;

    for (object_count = 0; at < all.size; object_count++, at += 36 + size) {
        CHECK(object_count < OBJECTS);
        memcpy(objects[object_count].name, all.data + at, DUNLIN_DIGEST);
        memcpy(&size, all.data + at + DUNLIN_DIGEST, sizeof size);
        objects[object_count].data = (struct dunlin_span){all.data + at + 36, size};
    }
}

static void import_key(uint32_t id, const char *name, psa_key_usage_t usage, psa_algorithm_t algorithm)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    struct dunlin_span secret = world_file(name);
    psa_key_id_t key;

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, usage);
    psa_set_key_algorithm(&attributes, algorithm);
    psa_set_key_id(&attributes, id);
    CHECK(psa_import_key(&attributes, secret.data, secret.size, &key) == PSA_SUCCESS);
}

void world_start(const char *fixture, uint32_t sector, uint32_t write)
{
    if (fixture)
        folder = fixture;
    memset(&world, 0, sizeof world);
    memset(&gateway, 0, sizeof gateway);
    world.unix_time = 1900000000;
    world.flash = (struct flash_emulator){
        .size = WORLD_FLASH, .sector = sector, .write = write, .power_cut = power_cut, .fault = fault,
    };
    world.flash.base = mmap(NULL, WORLD_FLASH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world.flash.base != MAP_FAILED);
    memset(world.flash.base, 0xff, WORLD_FLASH);
    load_objects();
    flash = flash_emulator_flash(&world.flash);
    CHECK(its_store_open(&flash, &board, 0, WORLD_KEYS) == 0 && psa_crypto_init() == PSA_SUCCESS);
    import_key(1, "device.key", PSA_KEY_USAGE_SIGN_HASH, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    import_key(2, "device-kem.key", PSA_KEY_USAGE_DERIVE, PSA_ALG_ECDH);
}

/* ---- gateway --------------------------------------------------------------------------------------------------- */

static void answer(const uint8_t *body, size_t size)
{
    uint8_t line[DUNLIN_LINK_LINE];
    size_t length = dl_link_encode(body, size, line);

    put(&to_device, line, length);
    if (world.repeat)
        put(&to_device, line, length);
}

void world_offer_bytes(uint8_t kind, const uint8_t *data, size_t size)
{
    size_t length;

    gateway.offer[kind] = (struct dunlin_span){data, size};
    CHECK(psa_hash_compute(PSA_ALG_SHA_256, data, size, gateway.name[kind], DUNLIN_DIGEST, &length) == PSA_SUCCESS);
    gateway.offer_due = world.now_ms;
}

void world_offer(uint8_t kind, const char *name)
{
    struct dunlin_span message = world_file(name);

    world_offer_bytes(kind, message.data, message.size);
}

static void send_offers(void)
{
    uint8_t body[4 + DUNLIN_DIGEST], kind;

    if (world.now_ms < gateway.offer_due)
        return;
    gateway.offer_due = world.now_ms + OFFER_EVERY_MS;
    for (kind = DL_OFFER_DESIRED; kind < DL_OFFER_END; kind++) {
        if (!gateway.offer[kind].size)
            continue;
        body[0] = DL_OFFER;
        body[1] = kind;
        body[2] = (uint8_t)(gateway.offer[kind].size >> 8);
        body[3] = (uint8_t)gateway.offer[kind].size;
        memcpy(body + 4, gateway.name[kind], DUNLIN_DIGEST);
        answer(body, sizeof body);
    }
}

static struct dunlin_span find(const uint8_t *name, bool *object)
{
    unsigned i;

    *object = false;
    for (i = DL_OFFER_DESIRED; i < DL_OFFER_END; i++)
        if (gateway.offer[i].size && memcmp(gateway.name[i], name, DUNLIN_DIGEST) == 0)
            return gateway.offer[i];
    *object = true;
    for (i = 0; i < object_count; i++)
        if (memcmp(objects[i].name, name, DUNLIN_DIGEST) == 0)
            return objects[i].data;
    return (struct dunlin_span){NULL, 0};
}

static void send_piece(const uint8_t *name, struct dunlin_span data, uint32_t offset, uint32_t size)
{
    uint8_t body[DUNLIN_LINK_BODY];

    body[0] = DL_DATA;
    memcpy(body + 1, name, DL_LINK_PREFIX);
    body[9] = (uint8_t)(offset >> 24);
    body[10] = (uint8_t)(offset >> 16);
    body[11] = (uint8_t)(offset >> 8);
    body[12] = (uint8_t)offset;
    if (size)
        memcpy(body + 13, data.data + offset, size);
    if (world.spoil_chunk && data.size > 1024 && size == DUNLIN_LINK_DATA) {
        world.spoil_chunk--;
        body[40] ^= 1;
    }
    if (world.spoil_page && data.size < 1024 && data.size % DUNLIN_DIGEST == 0) {
        world.spoil_page--;
        body[14] ^= 1;
    }
    answer(body, 13 + size);
}

static void on_get(const uint8_t *body)
{
    uint32_t offset = (uint32_t)body[33] << 24 | (uint32_t)body[34] << 16 | (uint32_t)body[35] << 8 | body[36];
    uint32_t length = (uint32_t)body[37] << 8 | body[38], end, at, size;
    bool object;
    struct dunlin_span data = find(body + 1, &object);

    if (!data.size || (object && world.withhold)) {
        uint8_t none[1 + DL_LINK_PREFIX] = {DL_NONE};

        memcpy(none + 1, body + 1, DL_LINK_PREFIX);
        answer(none, sizeof none);
        return;
    }
    end = offset + length < data.size ? offset + length : (uint32_t)data.size;
    if (offset >= end) {
        send_piece(body + 1, data, offset, 0);
        return;
    }
    if (world.reorder) {
        for (at = offset + (end - offset - 1) / DUNLIN_LINK_DATA * DUNLIN_LINK_DATA;; at -= DUNLIN_LINK_DATA) {
            size = end - at < DUNLIN_LINK_DATA ? end - at : DUNLIN_LINK_DATA;
            send_piece(body + 1, data, at, size);
            if (at == offset)
                return;
        }
    }
    for (at = offset; at < end; at += size) {
        size = end - at < DUNLIN_LINK_DATA ? end - at : DUNLIN_LINK_DATA;
        send_piece(body + 1, data, at, size);
    }
}

/* COSE_Sign1 of {1: device, 2: stream, 3: n} by the director: SPEC, section 7. */
static void acknowledge(const uint8_t *event, size_t size)
{
    static uint8_t ack[2][128];
    static unsigned turn;
    static const uint8_t role[] = {0x4a, 'd', 'n', 'b', '/', 'v', '1', '/', 'a', 'c', 'k'};
    static const uint8_t context[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'};
    static const uint8_t front[] = {0xd2, 0x84, 0x4d, 0xa2, 0x01, 0x28, 0x04, 0x48};
    uint8_t payload[40] = {0xa4, 0x00, 0x01, 0x01, 0x65, 'm', 'c', 'u', '-', '1', 0x02, 0x50}, tbs[128], *out = ack[turn ^= 1];
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    const uint8_t *stream = memmem(event, size, "\x00\x01\x01\x50", 4);
    struct dunlin_span secret = world_file("director.key"), kid = world_file("director.kid");
    size_t n = 28, t = 0, length;
    psa_key_id_t key;

    CHECK(stream);
    payload[9] = world.acknowledge_other ? '2' : '1';
    memcpy(payload + 12, stream + 4, 16);
    payload[n++] = 0x03;
    payload[n++] = stream[21]; /* key 2 is followed by the number, in one byte or two */
    if (stream[21] == 0x18)
        payload[n++] = stream[22];
    memcpy(out, front, sizeof front);
    memcpy(out + sizeof front, kid.data, 8);
    length = sizeof front + 8;
    memcpy(tbs, context, sizeof context);
    memcpy(tbs + sizeof context, out + 2, 14);
    t = sizeof context + 14;
    memcpy(tbs + t, role, sizeof role);
    t += sizeof role;
    out[length++] = 0xa0;
    out[length++] = tbs[t++] = 0x58;
    out[length++] = tbs[t++] = (uint8_t)n;
    memcpy(out + length, payload, n);
    memcpy(tbs + t, payload, n);
    length += n;
    t += n;
    out[length++] = 0x58;
    out[length++] = 64;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&attributes, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    CHECK(psa_import_key(&attributes, secret.data, secret.size, &key) == PSA_SUCCESS);
    CHECK(psa_sign_message(key, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256), tbs, t, out + length, 64, &t) == PSA_SUCCESS);
    (void)psa_destroy_key(key);
    world_offer_bytes(DL_OFFER_ACK, out, length + 64);
}

static void on_up(const uint8_t *body, size_t size)
{
    uint16_t id = (uint16_t)(body[2] << 8 | body[3]), offset = (uint16_t)(body[4] << 8 | body[5]);
    uint16_t total = (uint16_t)(body[6] << 8 | body[7]);
    uint8_t got[5] = {DL_GOT, body[2], body[3]};

    if (id != gateway.up_id) {
        gateway.up_id = id;
        gateway.up_have = 0;
        gateway.up_whole = false;
    }
    if (offset == gateway.up_have && offset + size - 8 <= total && total <= WORLD_UP_BYTES) {
        memcpy(gateway.up + offset, body + 8, size - 8);
        gateway.up_have = (uint16_t)(offset + size - 8);
    }
    if (gateway.up_have == total && !gateway.up_whole) {
        gateway.up_whole = true;
        CHECK(world.up_count < WORLD_UPS);
        world.up[world.up_count].kind = body[1];
        world.up[world.up_count].size = total;
        memcpy(world.up[world.up_count++].data, gateway.up, total);
        if (body[1] == DL_UP_EVENTS && world.acknowledge)
            acknowledge(gateway.up, total);
    }
    got[3] = (uint8_t)(gateway.up_have >> 8);
    got[4] = (uint8_t)gateway.up_have;
    answer(got, sizeof got);
}

static void on_frame(const uint8_t *body, size_t size)
{
    static const uint8_t welcome[] = {DL_WELCOME, 1, 2, 'g', 'w'};
    unsigned kind;

    if (body[0] == DL_HELLO && size >= 20) {
        if (memcmp(gateway.nonce, body + 3, DUNLIN_ID) != 0)
            gateway.offer_due = 0;
        memcpy(gateway.nonce, body + 3, DUNLIN_ID);
        answer(welcome, sizeof welcome);
    } else if (body[0] == DL_GET && size == 39) {
        on_get(body);
    } else if (body[0] == DL_UP && size > 8) {
        on_up(body, size);
    } else if (body[0] == DL_TOOK && size == 33) {
        for (kind = DL_OFFER_DESIRED; kind < DL_OFFER_END; kind++)
            if (memcmp(gateway.name[kind], body + 1, DUNLIN_DIGEST) == 0)
                gateway.offer[kind].size = 0;
    }
}

static void gateway_step(void)
{
    uint8_t byte;
    size_t size, taken;

    while (take(&to_gateway, &byte, 1) == 1) {
        size = dl_link_feed(&gateway.decoder, &byte, 1, &taken);
        if (size)
            on_frame(gateway.decoder.line, size);
    }
    send_offers();
}

/* ---- running --------------------------------------------------------------------------------------------------- */

int world_boot(void)
{
    static uint8_t arena[4096] __attribute__((aligned(16)));
    const struct dunlin_config config = {.agent_version = "test", .arena = arena, .arena_size = sizeof arena};
    const struct dunlin_port port = {
        .flash = &flash, .pipe = &pipe_of_world, .board = &board,
        .layout = {.store = WORLD_KEYS, .store_size = WORLD_STORE, .slot_size = WORLD_SLOT,
                   .slot = {WORLD_FLASH - 2 * WORLD_SLOT, WORLD_FLASH - WORLD_SLOT}},
        .identity_key = 1, .kem_key = {2, 3},
    };

    world.now_ms = 0;
    world.up_count = 0;
    to_device.size = to_gateway.size = 0;
    gateway.offer_due = 0;
    gateway.up_id = 0;
    gateway.up_have = 0;
    gateway.up_whole = true;
    mbedtls_psa_crypto_free();
    (void)its_store_open(&flash, &board, 0, WORLD_KEYS);
    (void)psa_crypto_init();
    return dunlin_open(&world.device, &port, &config);
}

static void predict(void)
{
    static const uint8_t image[4] = {1, 2, 3, 4};
    struct dunlin_span input = {world.predict_fails ? (const uint8_t *)"FAIL" : image, sizeof image}, output;

    (void)dunlin_infer(&world.device, &input, 1, &output, 1);
}

bool world_run(bool (*until)(void), unsigned most_s)
{
    uint64_t end = world.now_ms + 1000u * (uint64_t)most_s;
    unsigned step, busy;

    while (!until()) {
        if (world.now_ms >= end)
            return false;
        for (step = 0; step < STEPS_A_MS; step++) {
            busy = (unsigned)dunlin_step(&world.device);
            gateway_step();
            if (!busy)
                break;
        }
        world.now_ms += step == STEPS_A_MS ? 1 : 5;
        if (world.predict && world.now_ms % 50 < 5)
            predict();
    }
    return true;
}

void world_tick(void)
{
    (void)dunlin_step(&world.device);
    gateway_step();
    world.now_ms++;
}

void world_away_for(unsigned days)
{
    uint64_t begin = world.now_ms, end = begin + days * 86400000ull;

    for (; world.now_ms < end; world.now_ms += world.now_ms < begin + 60000 ? 50 : 20000) {
        (void)dunlin_step(&world.device);
        to_gateway.size = to_device.size = 0;
    }
    world.up_count = 0;
}

static bool never(void) { return false; }

void world_run_for(unsigned seconds) { (void)world_run(never, seconds); }

struct dunlin_status world_status(void)
{
    struct dunlin_status status;

    dunlin_status(&world.device, &status);
    return status;
}

bool world_is_phase(enum dunlin_phase phase) { return world_status().phase == phase; }

bool world_enrolled(void)
{
    unsigned i;

    for (i = 0; i < world.up_count; i++)
        if (world.up[i].kind == DL_UP_REPORTED)
            return true;
    return false;
}

bool world_settled(void)
{
    enum dunlin_phase phase = world_status().phase;

    return phase == DUNLIN_COMMITTED || phase == DUNLIN_ROLLED_BACK || phase == DUNLIN_REFUSED;
}

bool world_serves(const char *release)
{
    static const uint8_t image[4] = {9, 8, 7, 6};
    struct dunlin_span input = {image, sizeof image}, output, digest;
    struct dunlin_status status = world_status();
    char name[64];

    (void)snprintf(name, sizeof name, "%s.digest", release);
    digest = world_file(name);
    return status.serving_slot >= 0 && memcmp(status.serving, digest.data, DUNLIN_DIGEST) == 0 &&
           status.self_test.count > 0 && status.self_test.error == 0 &&
           dunlin_infer(&world.device, &input, 1, &output, 1) == 0;
}

static bool holds(const uint8_t *data, size_t size, const char *text)
{
    return !text || memmem(data, size, text, strlen(text)) != NULL;
}

unsigned world_events(const char *kind, const char *code)
{
    unsigned i, count = 0;

    for (i = 0; i < world.up_count; i++)
        count += world.up[i].kind == DL_UP_EVENTS && holds(world.up[i].data, world.up[i].size, kind) &&
                 holds(world.up[i].data, world.up[i].size, code);
    return count;
}

void world_commit_one(void)
{
    CHECK_CODE(world_boot(), 0);
    world.predict = true;
    world_offer(DL_OFFER_CLAIM, "claim");
    world_offer(DL_OFFER_ENROL, "reply");
    CHECK(world_run(world_enrolled, 20));
    world_offer(DL_OFFER_DESIRED, "one");
    world_run_for(1);
    CHECK(world_run(world_settled, 60));
    CHECK(world_is_phase(DUNLIN_COMMITTED) && world_serves("one"));
}

void world_fresh(void)
{
    world_start(NULL, 4096, 8);
    world_commit_one();
}

void world_follow(const char *directive, unsigned seconds)
{
    world.up_count = 0;
    world_offer(DL_OFFER_DESIRED, directive);
    world_run_for(seconds);
}

bool world_committed_two(void) { return world_is_phase(DUNLIN_COMMITTED) && world_serves("two"); }

bool world_in_flash(const void *bytes, size_t size)
{
    return memmem(world.flash.base, WORLD_FLASH, bytes, size) != NULL;
}

int world_tests(int argc, char **argv, const struct world_test *tests, size_t count)
{
    size_t i;

    CHECK(argc >= 2);
    folder = argv[1];
    for (i = 0; i < count; i++) {
        if (argc > 2 && !strstr(tests[i].name, argv[2]))
            continue;
        (void)printf("%s\n", tests[i].name);
        (void)fflush(stdout);
        tests[i].run();
    }
    return 0;
}
