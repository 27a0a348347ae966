/* Frames of the serial link: a stream cut anywhere, and every message in it. */
#include <string.h>

#include "device/link.h"
#include "fuzz.h"

static void check_body(const struct dl_decoder *decoder, size_t size) {
    struct dl_decoder again;
    struct dl_message message;
    uint8_t line[DUNLIN_LINK_LINE];
    size_t taken;
    REQUIRE(size <= DUNLIN_LINK_BODY);
    const size_t written = dl_link_encode(decoder->line, size, line);
    REQUIRE(written <= sizeof line && line[written - 1] == 0 && !memchr(line, 0, written - 1));
    memset(&again, 0, sizeof again);
    REQUIRE(dl_link_feed(&again, line, written, &taken) == size && taken == written);
    REQUIRE(memcmp(again.line, decoder->line, size) == 0 && again.bad == 0);
    const struct dunlin_span body = {decoder->line, size};
    if (dl_link_parse(body, &message) == 0) {
        REQUIRE(is_inside(body, message.data));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dl_decoder whole, slow;
    struct dl_message message;
    memset(&whole, 0, sizeof whole);
    memset(&slow, 0, sizeof slow);
    for (size_t at = 0; at < size;) {
        size_t taken = 0, piecemeal = 0, ignored;
        const size_t body = dl_link_feed(&whole, data + at, size - at, &taken);
        REQUIRE(taken > 0 && taken <= size - at);
        for (size_t i = 0; i < taken; i++) {
            piecemeal = dl_link_feed(&slow, data + at + i, 1, &ignored);
        }
        REQUIRE(piecemeal == body && slow.bad == whole.bad && slow.have == whole.have);
        if (body > 0) {
            check_body(&whole, body);
        }
        at += taken;
    }
    dl_link_parse((struct dunlin_span){data, size}, &message);
    return 0;
}
