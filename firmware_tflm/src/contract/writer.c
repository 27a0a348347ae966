#include "contract/writer.h"

#include <string.h>

#include "contract/cbor.h"

static void put(struct dl_writer *to, const void *data, size_t size) {
    if (to->full || size > to->room) {
        to->full = true;
        return;
    }
    memcpy(to->at, data, size);
    to->at += size, to->room -= size;
}

void dl_put_head(struct dl_writer *to, uint8_t major, uint64_t argument) {
    uint8_t head[9];
    int size = 0;
    uint8_t info = (uint8_t)argument;
    if (argument >= 24) {
        info = argument < 0x100 ? 24 : argument < 0x10000 ? 25 : argument <= UINT32_MAX ? 26 : 27;
        size = 1 << (info - 24);
    }
    head[0] = (uint8_t)(major << 5 | info);
    for (int i = 0; i < size; i++) {
        head[1 + i] = (uint8_t)(argument >> 8 * (size - 1 - i));
    }
    put(to, head, (size_t)size + 1);
}

uint8_t *dl_put_map(struct dl_writer *to) {
    uint8_t *around = to->map;
    to->map = to->at;
    dl_put_head(to, DL_MAP, 0);
    return around;
}

static void count_field(struct dl_writer *to) {
    if (!to->full) {
        ++*to->map;
    }
}

void dl_put_key(struct dl_writer *to, uint32_t key) {
    dl_put_head(to, DL_UINT, key);
    count_field(to);
}

void dl_put_name(struct dl_writer *to, const char *key) {
    dl_put_span(to, DL_TEXT, (struct dunlin_span){(const uint8_t *)key, strlen(key)});
    count_field(to);
}

void dl_put_span(struct dl_writer *to, uint8_t major, struct dunlin_span content) {
    dl_put_head(to, major, content.size);
    put(to, content.data, content.size);
}

void dl_put_bytes(struct dl_writer *to, uint32_t key, const void *data, size_t size) {
    dl_put_key(to, key);
    dl_put_span(to, DL_BYTES, (struct dunlin_span){data, size});
}

void dl_put_text(struct dl_writer *to, uint32_t key, const char *text) {
    dl_put_key(to, key);
    dl_put_span(to, DL_TEXT, (struct dunlin_span){(const uint8_t *)text, strlen(text)});
}

void dl_put_number(struct dl_writer *to, uint32_t key, uint64_t number) {
    dl_put_key(to, key);
    dl_put_head(to, DL_UINT, number);
}
