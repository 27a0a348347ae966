/* Vectors of the serial link. */
#include <string.h>

#include "contract/schema.h"
#include "device/link.h"
#include "fields.h"

static size_t feed(struct dl_decoder *decoder, struct dunlin_span bytes, size_t *at) {
    size_t taken = 0, size = 0;
    while (*at < bytes.size && size == 0) {
        size = dl_link_feed(decoder, bytes.data + *at, bytes.size - *at, &taken);
        *at += taken;
    }
    return size;
}

static int run_frame(const struct fields *in) {
    static const uint8_t delimiter = 0;
    struct dl_decoder decoder;
    uint8_t line[DUNLIN_LINK_LINE];
    const struct dunlin_span bytes = field(in, "bytes");
    size_t at = 0, taken;
    memset(&decoder, 0, sizeof decoder);
    if (bytes.size == 0 || memchr(bytes.data, 0, bytes.size)) {
        return DUNLIN_E_FRAME;
    }
    size_t size = feed(&decoder, bytes, &at);
    size = dl_link_feed(&decoder, &delimiter, 1, &taken);
    if (size == 0) {
        return DUNLIN_E_FRAME;
    }
    give("body", (struct dunlin_span){decoder.line, size});
    const size_t written = dl_link_encode(decoder.line, size, line);
    give_number("written", written == bytes.size + 1 && memcmp(line, bytes.data, bytes.size) == 0);
    return 0;
}

static int run_stream(const struct fields *in) {
    struct dl_decoder whole, slow;
    const struct dunlin_span bytes = field(in, "bytes");
    memset(&whole, 0, sizeof whole);
    memset(&slow, 0, sizeof slow);
    for (size_t at = 0, size; at < bytes.size;) {
        const size_t from = at;
        size = feed(&whole, bytes, &at);
        size_t piecemeal = 0;
        for (size_t i = from, taken; i < at; i++) { /* byte by byte it must come out the same */
            piecemeal = dl_link_feed(&slow, bytes.data + i, 1, &taken);
        }
        if (piecemeal != size || memcmp(slow.line, whole.line, size) != 0 || slow.bad != whole.bad) {
            return DUNLIN_E_ARGUMENT;
        }
        if (size > 0) {
            give("bodies", (struct dunlin_span){whole.line, size});
        }
    }
    give_number("errors", whole.bad);
    return 0;
}

/* ---- messages: a child reads a gateway's and writes its own, which only this file reads ------------------------------ */

struct reader {
    struct dunlin_span rest;
    bool bad;
};

static struct dunlin_span take(struct reader *in, size_t size) {
    const struct dunlin_span piece = {in->rest.data, size};
    if (size > in->rest.size) {
        in->bad = true;
        return (struct dunlin_span){NULL, 0};
    }
    in->rest.data += size, in->rest.size -= size;
    return piece;
}

static uint32_t take_number(struct reader *in, size_t size, uint32_t least, uint32_t most) {
    const struct dunlin_span bytes = take(in, size);
    uint32_t value = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        value = value << 8 | bytes.data[i];
    }
    in->bad |= value < least || value > most;
    return value;
}

static int read_hello(struct reader *in, uint8_t *body, size_t *size) {
    char device[DUNLIN_DEVICE + 1];
    if (take_number(in, 1, 0, 255) != DUNLIN_LINK_VERSION) {
        return in->bad ? DUNLIN_E_FRAME : DUNLIN_E_VERSION;
    }
    const bool enrolled = take_number(in, 1, 0, 1);
    const struct dunlin_span nonce = take(in, 16), name = take(in, take_number(in, 1, 0, DUNLIN_DEVICE));
    if (in->bad || (name.size > 0 && dl_device_check(name))) {
        return DUNLIN_E_FRAME;
    }
    dl_copy_text(device, sizeof device, name);
    give_number("enrolled", enrolled);
    give("boot_nonce", nonce);
    give("device", name);
    *size = dl_link_hello(body, enrolled, nonce.data, device);
    return 0;
}

static int read_get(struct reader *in, uint8_t *body, size_t *size) {
    const struct dunlin_span name = take(in, DUNLIN_DIGEST);
    const uint32_t offset = take_number(in, 4, 0, UINT32_MAX), length = take_number(in, 2, 1, DUNLIN_LINK_WINDOW);
    if (in->bad) {
        return DUNLIN_E_FRAME;
    }
    give("name", name);
    give_number("offset", offset);
    give_number("length", length);
    *size = dl_link_get(body, name.data, offset, (uint16_t)length);
    return 0;
}

static int read_up(struct reader *in, uint8_t *body, size_t *size) {
    const uint32_t kind = take_number(in, 1, DL_UP_REPORTED, DL_UP_ENROL), id = take_number(in, 2, 0, 65535);
    const uint32_t offset = take_number(in, 2, 0, 65535), total = take_number(in, 2, 1, 4096);
    const struct dunlin_span data = take(in, in->rest.size);
    if (in->bad || data.size < 1 || data.size > DUNLIN_LINK_DATA || offset + data.size > total) {
        return DUNLIN_E_FRAME;
    }
    give_number("kind", kind);
    give_number("id", id);
    give_number("offset", offset);
    give_number("total", total);
    give("data", data);
    *size = dl_link_up(body, (uint8_t)kind, (uint16_t)id, (uint16_t)offset, (uint16_t)total, data);
    return 0;
}

static int read_took(struct reader *in, uint8_t *body, size_t *size) {
    const struct dunlin_span name = take(in, DUNLIN_DIGEST);
    if (in->bad) {
        return DUNLIN_E_FRAME;
    }
    give("name", name);
    *size = dl_link_took(body, name.data);
    return 0;
}

/* Read as a gateway does, then written as a child does: the same bytes. */
static int run_childs(struct dunlin_span bytes) {
    static const struct {
        const char *message;
        int (*read)(struct reader *in, uint8_t *body, size_t *size);
    } types[] = {{"hello", read_hello}, {"get", read_get}, {"up", read_up}, {"took", read_took}};
    uint8_t body[DUNLIN_LINK_BODY];
    size_t size = 0;
    struct reader in = {{bytes.data + 1, bytes.size - 1}, false};
    give_text("message", types[bytes.data[0] - DL_HELLO].message);
    const int error = types[bytes.data[0] - DL_HELLO].read(&in, body, &size);
    if (error || in.rest.size > 0) {
        return error ? error : DUNLIN_E_FRAME;
    }
    return size == bytes.size && memcmp(body, bytes.data, size) == 0 ? 0 : DUNLIN_E_ARGUMENT;
}

static int run_message(const struct fields *in) {
    struct dl_message message;
    const struct dunlin_span bytes = field(in, "bytes");
    if (bytes.size > 0 && bytes.data[0] >= DL_HELLO && bytes.data[0] <= DL_TOOK) {
        return run_childs(bytes);
    }
    const int error = dl_link_parse(bytes, &message);
    if (error) {
        return error;
    }
    switch (message.type) {
    case DL_WELCOME:
        give_text("message", "welcome");
        give("gateway", message.data);
        break;
    case DL_OFFER:
        give_text("message", "offer");
        give_number("kind", message.kind);
        give_number("length", message.length);
        give("name", (struct dunlin_span){message.name, DUNLIN_DIGEST});
        break;
    case DL_DATA:
        give_text("message", "data");
        give("prefix", (struct dunlin_span){message.name, DL_LINK_PREFIX});
        give_number("offset", message.offset);
        give("data", message.data);
        break;
    case DL_NONE:
        give_text("message", "nothing");
        give("prefix", (struct dunlin_span){message.name, DL_LINK_PREFIX});
        break;
    default:
        give_text("message", "got");
        give_number("id", message.id);
        give_number("next", message.next);
    }
    return 0;
}

static int run_claim(const struct fields *in) {
    struct dunlin_span device, token;
    const int error = dl_link_claim(field(in, "bytes"), &device, &token);
    if (!error) {
        give("device", device);
        give("token", token);
    }
    return error;
}

int run_link(const char *kind, const struct fields *in) {
    if (strcmp(kind, "frame") == 0) {
        return run_frame(in);
    }
    if (strcmp(kind, "link-stream") == 0) {
        return run_stream(in);
    }
    if (strcmp(kind, "link-claim") == 0) {
        return run_claim(in);
    }
    return strcmp(kind, "link-message") == 0 ? run_message(in) : UNKNOWN_KIND;
}
