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
    dl_put_text(to, key);
    count_field(to);
}

void dl_put_span(struct dl_writer *to, uint8_t major, struct dunlin_span content) {
    dl_put_head(to, major, content.size);
    put(to, content.data, content.size);
}

void dl_put_text(struct dl_writer *to, const char *text) {
    dl_put_span(to, DL_TEXT, (struct dunlin_span){(const uint8_t *)text, strlen(text)});
}

static void put_number(struct dl_writer *to, const struct dl_field *field, uint64_t number) {
    if (number || !(field->key & DL_OPTIONAL)) {
        dl_put_key(to, field->key & ~DL_OPTIONAL);
        dl_put_head(to, DL_UINT, number);
    }
}

static void put_string(struct dl_writer *to, const struct dl_field *field, const char *string) {
    const size_t size = !string ? 0 : field->major == DL_TEXT ? strlen(string) : field->size;
    if (size || !(field->key & DL_OPTIONAL)) {
        dl_put_key(to, field->key & ~DL_OPTIONAL);
        dl_put_span(to, field->major, (struct dunlin_span){(const uint8_t *)string, size});
    }
}

void dl_put_fields(struct dl_writer *to, const struct dl_field *field, size_t count, const void *record) {
    for (; count > 0; count--, field++) {
        const void *const member = (const uint8_t *)record + field->at;
        if (field->major != DL_UINT) {
            put_string(to, field, *(const char *const *)member);
        } else {
            put_number(to, field, field->size == 4 ? *(const uint32_t *)member : *(const uint64_t *)member);
        }
    }
}
