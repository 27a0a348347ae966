/* The world's gateway: it offers messages, answers what the device asks for, and takes what it says, as `world` wants. */
#include "world_parts.h"

#include <psa/crypto.h>
#include <string.h>

enum { OFFER_EVERY_MS = 3000 };

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

void world_gateway_start(void) { memset(&gateway, 0, sizeof gateway); }

void world_gateway_boot(void)
{
    gateway.offer_due = 0;
    gateway.up_id = 0;
    gateway.up_have = 0;
    gateway.up_whole = true;
}

/* ---- down ------------------------------------------------------------------------------------------------------ */

static void answer(const uint8_t *body, size_t size)
{
    uint8_t line[DUNLIN_LINK_LINE];
    size_t length = dl_link_encode(body, size, line);

    world_line_send(line, length);
    if (world.repeat)
        world_line_send(line, length);
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
    return world_object(name);
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

/* ---- up -------------------------------------------------------------------------------------------------------- */

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
            world_acknowledge(gateway.up, total);
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

void world_gateway_step(void)
{
    uint8_t byte;
    size_t size, taken;

    while (world_line_take(&byte)) {
        size = dl_link_feed(&gateway.decoder, &byte, 1, &taken);
        if (size)
            on_frame(gateway.decoder.line, size);
    }
    send_offers();
}
