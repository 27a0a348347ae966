#include "device/link.h"

#include <string.h>

#include "contract/schema.h"
#include "device/crc32.h"
#include "dunlin/error.h"

#define CRC_BYTES 4
#define CLAIM_TOKEN_BYTES 512

static void put16(uint8_t *to, uint16_t n)
{
    to[0] = (uint8_t)(n >> 8);
    to[1] = (uint8_t)n;
}

static void put32(uint8_t *to, uint32_t n)
{
    put16(to, (uint16_t)(n >> 16));
    put16(to + 2, (uint16_t)n);
}

static uint16_t get16(const uint8_t *from)
{
    return (uint16_t)(from[0] << 8 | from[1]);
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)get16(from) << 16 | get16(from + 2);
}

/* Consistent Overhead Byte Stuffing (Cheshire, Baker 1999), undone in place. Size, or 0 if it is none. */
static size_t unstuff(uint8_t *data, size_t size)
{
    size_t from = 0, to = 0;

    while (from < size) {
        uint8_t code = data[from];

        if (code > size - from)
            return 0;
        memmove(data + to, data + from + 1, (size_t)code - 1);
        from += code;
        to += (size_t)code - 1;
        if (code < 255 && from < size)
            data[to++] = 0;
    }
    return to;
}

static size_t frame_end(struct dl_decoder *d)
{
    size_t size = d->have;

    d->have = 0;
    if (!size)
        return 0;
    /* The longest line has its delimiter in the last place. */
    size = size < sizeof d->line ? unstuff(d->line, size) : 0;
    if (size > CRC_BYTES && size <= DUNLIN_LINK_BODY + CRC_BYTES) {
        size -= CRC_BYTES;
        if (get32(d->line + size) == dl_crc32(0, d->line, size))
            return size;
    }
    d->bad++;
    return 0;
}

size_t dl_link_feed(struct dl_decoder *d, const uint8_t *data, size_t size, size_t *taken)
{
    const uint8_t *end = memchr(data, 0, size);
    size_t length = end ? (size_t)(end - data) : size, room = sizeof d->line - d->have;

    *taken = end ? length + 1 : length;
    if (length > room)
        length = room;
    memcpy(d->line + d->have, data, length);
    d->have = (uint16_t)(d->have + length);
    return end ? frame_end(d) : 0;
}

size_t dl_link_encode(const uint8_t *body, size_t size, uint8_t line[DUNLIN_LINK_LINE])
{
    uint8_t crc[CRC_BYTES];
    size_t code = 0, at = 1, i;

    put32(crc, dl_crc32(0, body, size));
    for (i = 0; i < size + CRC_BYTES; i++) {
        uint8_t byte = i < size ? body[i] : crc[i - size];

        if (byte)
            line[at++] = byte;
        if (!byte || at - code == 255) {
            bool last = byte && i + 1 == size + CRC_BYTES;

            line[code] = (uint8_t)(at - code);
            if (last) {
                line[at] = 0;
                return at + 1;
            }
            code = at++;
        }
    }
    line[code] = (uint8_t)(at - code);
    line[at] = 0;
    return at + 1;
}

int dl_link_parse(struct dunlin_span body, struct dl_message *m)
{
    const uint8_t *b = body.data;
    size_t size = body.size;

    memset(m, 0, sizeof *m);
    if (!size)
        return DUNLIN_E_FRAME;
    m->type = b[0];
    switch (m->type) {
    case DL_WELCOME:
        if (size < 2)
            return DUNLIN_E_FRAME;
        if (b[1] != DUNLIN_LINK_VERSION)
            return DUNLIN_E_VERSION;
        if (size < 4 || size != 3u + b[2])
            return DUNLIN_E_FRAME;
        m->data = (struct dunlin_span){b + 3, b[2]};
        return dl_device_check(m->data) ? DUNLIN_E_FRAME : DUNLIN_OK;
    case DL_OFFER:
        if (size != 4 + DUNLIN_DIGEST || b[1] < DL_OFFER_DESIRED || b[1] >= DL_OFFER_END || !get16(b + 2))
            return DUNLIN_E_FRAME;
        m->kind = b[1];
        m->length = get16(b + 2);
        m->name = b + 4;
        return DUNLIN_OK;
    case DL_DATA:
        if (size < 5 + DL_LINK_PREFIX || size > 5 + DL_LINK_PREFIX + DUNLIN_LINK_DATA)
            return DUNLIN_E_FRAME;
        m->name = b + 1;
        m->offset = get32(b + 1 + DL_LINK_PREFIX);
        m->data = (struct dunlin_span){b + 5 + DL_LINK_PREFIX, size - 5 - DL_LINK_PREFIX};
        return DUNLIN_OK;
    case DL_NONE:
        m->name = b + 1;
        return size == 1 + DL_LINK_PREFIX ? DUNLIN_OK : DUNLIN_E_FRAME;
    case DL_GOT:
        if (size != 5)
            return DUNLIN_E_FRAME;
        m->id = get16(b + 1);
        m->next = get16(b + 3);
        return m->next <= 4096 ? DUNLIN_OK : DUNLIN_E_FRAME;
    default:
        return DUNLIN_E_FRAME;
    }
}

int dl_link_claim(struct dunlin_span message, struct dunlin_span *device, struct dunlin_span *token)
{
    size_t n = message.size ? message.data[0] : 0, i;

    if (message.size <= 1 + n || message.size > 1 + n + CLAIM_TOKEN_BYTES)
        return DUNLIN_E_FRAME;
    *device = (struct dunlin_span){message.data + 1, n};
    *token = (struct dunlin_span){message.data + 1 + n, message.size - 1 - n};
    for (i = 0; i < token->size; i++)
        if (token->data[i] > 0x7f)
            return DUNLIN_E_FRAME;
    return dl_device_check(*device) ? DUNLIN_E_FRAME : DUNLIN_OK;
}

size_t dl_link_hello(uint8_t *body, bool enrolled, const uint8_t nonce[16], const char *device)
{
    size_t length = strlen(device);

    body[0] = DL_HELLO;
    body[1] = DUNLIN_LINK_VERSION;
    body[2] = enrolled;
    memcpy(body + 3, nonce, 16);
    body[19] = (uint8_t)length;
    memcpy(body + 20, device, length);
    return 20 + length;
}

size_t dl_link_get(uint8_t *body, const uint8_t name[DUNLIN_DIGEST], uint32_t offset, uint16_t length)
{
    body[0] = DL_GET;
    memcpy(body + 1, name, DUNLIN_DIGEST);
    put32(body + 33, offset);
    put16(body + 37, length);
    return 39;
}

size_t dl_link_up(uint8_t *body, uint8_t kind, uint16_t id, uint16_t offset, uint16_t total, struct dunlin_span piece)
{
    body[0] = DL_UP;
    body[1] = kind;
    put16(body + 2, id);
    put16(body + 4, offset);
    put16(body + 6, total);
    memcpy(body + 8, piece.data, piece.size);
    return 8 + piece.size;
}

size_t dl_link_took(uint8_t *body, const uint8_t name[DUNLIN_DIGEST])
{
    body[0] = DL_TOOK;
    memcpy(body + 1, name, DUNLIN_DIGEST);
    return 1 + DUNLIN_DIGEST;
}
