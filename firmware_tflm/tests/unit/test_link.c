/* Frames: what goes in comes out, and nothing else does, whatever the line makes of it. */
#include <string.h>

#include "check.h"
#include "device/link.h"
#include "dunlin/error.h"

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static size_t feed(struct dl_decoder *decoder, const uint8_t *data, size_t size)
{
    size_t taken, body;

    while (size) {
        body = dl_link_feed(decoder, data, size, &taken);
        if (body)
            return body;
        data += taken;
        size -= taken;
    }
    return 0;
}

static void gives_back_every_body(void)
{
    uint8_t body[DUNLIN_LINK_BODY], line[DUNLIN_LINK_LINE + 1];
    struct dl_decoder decoder;
    size_t size, length, i, kind;

    memset(&decoder, 0, sizeof decoder);
    for (kind = 0; kind < 4; kind++)
        for (size = 1; size <= sizeof body; size++) {
            for (i = 0; i < size; i++)
                body[i] = kind == 0 ? 0 : kind == 1 ? 0xff : kind == 2 ? (uint8_t)(i % 255 + 1) : (uint8_t)draw(3);
            length = dl_link_encode(body, size, line);
            CHECK(length <= DUNLIN_LINK_LINE && line[length - 1] == 0 && !memchr(line, 0, length - 1));
            CHECK(feed(&decoder, line, length) == size && memcmp(decoder.line, body, size) == 0);
        }
    CHECK(decoder.bad == 0);
}

/* Half a frame, noise, then a whole one: the noise ends at the next 00, and the frame behind it is found. */
static void finds_the_next_frame_after_noise(void)
{
    uint8_t body[40], line[DUNLIN_LINK_LINE], noise[700];
    struct dl_decoder decoder;
    size_t length, i, round;

    memset(&decoder, 0, sizeof decoder);
    for (round = 0; round < 2000; round++) {
        for (i = 0; i < sizeof body; i++)
            body[i] = (uint8_t)draw(256);
        length = dl_link_encode(body, sizeof body, line);
        (void)feed(&decoder, line, draw((uint32_t)length));
        size_t n = draw(sizeof noise);
        for (i = 0; i < n; i++)
            noise[i] = (uint8_t)draw(256);
        (void)feed(&decoder, noise, n);
        (void)feed(&decoder, (const uint8_t *)"", 1);
        CHECK(feed(&decoder, line, length) == sizeof body && memcmp(decoder.line, body, sizeof body) == 0);
    }
    CHECK(decoder.bad > 0);
}

static void drops_every_single_damage(void)
{
    uint8_t body[60], line[DUNLIN_LINK_LINE], damaged[DUNLIN_LINK_LINE];
    struct dl_decoder decoder;
    size_t length, i, size;
    unsigned bit;

    memset(&decoder, 0, sizeof decoder);
    for (i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)draw(4);
    length = dl_link_encode(body, sizeof body, line);
    for (i = 0; i + 1 < length; i++)
        for (bit = 0; bit < 8; bit++) {
            memcpy(damaged, line, length);
            damaged[i] ^= (uint8_t)(1u << bit);
            size = feed(&decoder, damaged, length);
            CHECK(size == 0 || damaged[i] == 0);
            (void)feed(&decoder, (const uint8_t *)"", 1);
        }
}

static void refuses_other_messages(void)
{
    static const uint8_t offer[36] = {DL_OFFER, 5, 0, 9};
    uint8_t data[5 + DL_LINK_PREFIX + DUNLIN_LINK_DATA + 1] = {DL_DATA};
    struct dl_message m;

    CHECK_CODE(dl_link_parse((struct dunlin_span){offer, sizeof offer}, &m), DUNLIN_E_FRAME);
    CHECK_CODE(dl_link_parse((struct dunlin_span){data, sizeof data}, &m), DUNLIN_E_FRAME);
    CHECK_CODE(dl_link_parse((struct dunlin_span){data, 12}, &m), DUNLIN_E_FRAME);
    CHECK_CODE(dl_link_parse((struct dunlin_span){data, 13}, &m), 0); /* the end of an object */
    CHECK_CODE(dl_link_parse((struct dunlin_span){(const uint8_t *)"\x81\x02\x01g", 4}, &m), DUNLIN_E_VERSION);
    CHECK_CODE(dl_link_parse((struct dunlin_span){(const uint8_t *)"\x81\x01\x02g", 4}, &m), DUNLIN_E_FRAME);
    CHECK_CODE(dl_link_parse((struct dunlin_span){(const uint8_t *)"\x85\0\1\0", 4}, &m), DUNLIN_E_FRAME);
    CHECK_CODE(dl_link_parse((struct dunlin_span){data, 0}, &m), DUNLIN_E_FRAME);
}

int main(void)
{
    gives_back_every_body();
    finds_the_next_frame_after_noise();
    drops_every_single_damage();
    refuses_other_messages();
    return 0;
}
