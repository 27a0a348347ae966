#include "contract/cbor.h"

#include <string.h>

#include "contract/verify.h"

#define NESTING 16
#define INFO_INDEFINITE 31

struct head {
    uint8_t major, info;
    uint64_t argument;
};

/* An array, map or tag that is open: items still to come, and the key before, if it is a map. */
struct level {
    uint32_t left;
    bool map;
    const uint8_t *key;
};

/* ---- floating point: the shortest of 16, 32 and 64 bits that keeps the value ------------------------------------- */

/* Whether a number of `bits` mantissa bits and unbiased exponent `e` has a format with the given bounds. */
static bool fits(uint64_t mantissa, int bits, int e, int narrow_bits, int least, int most) {
    if (e > most || e < least - narrow_bits) {
        return false;
    }
    const int lost = bits - narrow_bits + (e < least ? least - e : 0);
    return (((mantissa | (UINT64_C(1) << bits)) & ((UINT64_C(1) << lost) - 1)) == 0);
}

static bool is_shortest_float(uint8_t info, uint64_t value) {
    if (info == 25) {
        return (value & 0x7fff) <= 0x7c00 || value == 0x7e00; /* of all that are not numbers, one */
    }
    if ((value << (info == 26 ? 33 : 1)) == 0) {
        return false; /* zero, of either sign */
    }
    if (info == 26) {
        const int e = (int)(value >> 23 & 0xff);
        return e != 0xff && (e == 0 || !fits(value & 0x7fffff, 23, e - 127, 10, -14, 15));
    }
    const int e = (int)(value >> 52 & 0x7ff);
    return e != 0x7ff && (e == 0 || !fits(value & 0xfffffffffffff, 52, e - 1023, 23, -126, 127));
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static bool is_hidden(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static int check_text(const uint8_t *text, size_t size, bool plain) {
    for (size_t i = 0; i < size;) {
        uint32_t c = text[i++];
        const int more = c < 0x80 ? 0 : c < 0xc2 ? -1 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : -1;
        if (more < 0 || size - i < (size_t)more) {
            return DUNLIN_E_ENCODING;
        }
        c &= more ? 0x3fu >> more : 0x7fu;
        for (int k = 0; k < more; k++, i++) {
            if ((text[i] & 0xc0) != 0x80) {
                return DUNLIN_E_ENCODING;
            }
            c = c << 6 | (text[i] & 0x3fu);
        }
        const bool longer = (more == 2 && c < 0x800) || (more == 3 && (c < 0x10000 || c > 0x10ffff));
        if (longer || (c >= 0xd800 && c <= 0xdfff)) {
            return DUNLIN_E_ENCODING;
        }
        if (plain && is_hidden(c)) {
            return DUNLIN_E_VALUE;
        }
    }
    return 0;
}

/* ---- the check ----------------------------------------------------------------------------------------------------- */

static int take_head(struct dunlin_span *in, struct head *head) {
    if (in->size == 0) {
        return DUNLIN_E_ENCODING;
    }
    head->major = in->data[0] >> 5;
    head->info = in->data[0] & 0x1f;
    head->argument = head->info;
    in->data++, in->size--;
    if (head->info < 24) {
        return 0;
    }
    if (head->info > 27) {
        const bool indefinite = head->info == INFO_INDEFINITE && head->major >= DL_BYTES && head->major <= DL_MAP;
        return indefinite ? DUNLIN_E_CANONICAL : DUNLIN_E_ENCODING;
    }
    const size_t size = (size_t)1 << (head->info - 24);
    if (in->size < size) {
        return DUNLIN_E_ENCODING;
    }
    head->argument = 0;
    for (size_t i = 0; i < size; i++) {
        head->argument = head->argument << 8 | in->data[i];
    }
    in->data += size, in->size -= size;
    if (head->major == DL_SIMPLE) {
        if (size == 1) {
            return head->argument < 32 ? DUNLIN_E_ENCODING : 0;
        }
        return is_shortest_float(head->info, head->argument) ? 0 : DUNLIN_E_CANONICAL;
    }
    const uint64_t least = size == 1 ? 24 : UINT64_C(1) << (4 * size);
    return head->argument < least ? DUNLIN_E_CANONICAL : 0;
}

/* What follows a head: a string's bytes are taken, a container opens a level. */
static int take_body(struct dunlin_span *in, const struct head *head, struct level *levels, int *depth, bool plain) {
    uint64_t items = head->argument;
    switch (head->major) {
    case DL_BYTES:
    case DL_TEXT: {
        if (head->argument > in->size) {
            return DUNLIN_E_ENCODING;
        }
        const size_t size = (size_t)head->argument;
        const int error = head->major == DL_TEXT ? check_text(in->data, size, plain) : 0;
        in->data += size, in->size -= size;
        return error;
    }
    case DL_TAG:
        if (head->argument != 18 && head->argument != 98) {
            return DUNLIN_E_ENCODING;
        }
        items = 1;
        break;
    case DL_MAP:
    case DL_ARRAY:
        if (items > in->size) { /* an item has a byte at least: no counter below can overflow */
            return DUNLIN_E_ENCODING;
        }
        items *= head->major == DL_MAP ? 2 : 1;
        break;
    default:
        return 0;
    }
    if (items > 0) {
        if (*depth == NESTING || items > UINT32_MAX) {
            return DUNLIN_E_ENCODING;
        }
        levels[(*depth)++] = (struct level){(uint32_t)items, head->major == DL_MAP, NULL};
    }
    return 0;
}

static int check(struct dunlin_span in, size_t cap, bool plain) {
    if (in.size > cap) {
        return DUNLIN_E_SIZE;
    }
    struct level levels[NESTING];
    int depth = 0;
    do {
        struct level *level = depth ? &levels[depth - 1] : NULL;
        const bool is_key = level && level->map && level->left % 2 == 0;
        const uint8_t *from = in.data;
        struct head head;
        int error = take_head(&in, &head);
        if (!error && is_key && head.major >= DL_ARRAY && head.major <= DL_TAG) {
            error = DUNLIN_E_CANONICAL; /* no order is defined for such keys */
        }
        if (level) {
            level->left--;
        }
        if (!error) {
            error = take_body(&in, &head, levels, &depth, plain);
        }
        if (error) {
            return error;
        }
        if (is_key) {
            /* No key is the beginning of another, so the shorter one decides before either ends. A float or a boolean
             * stands alone: other languages take 1.0 and true for 1. */
            const size_t size = (size_t)(in.data - from);
            if (level->key && (head.major == DL_SIMPLE || memcmp(level->key, from, size) >= 0)) {
                return DUNLIN_E_CANONICAL;
            }
            level->key = from;
        }
        while (depth && levels[depth - 1].left == 0) {
            depth--;
        }
    } while (depth);
    return in.size ? DUNLIN_E_CANONICAL : 0;
}

int dl_cbor_check(struct dunlin_span message, size_t cap) {
    return check(message, cap, false);
}

int dl_record_check(struct dunlin_span record, size_t cap) {
    return check(record, cap, true);
}

/* ---- the cursor ---------------------------------------------------------------------------------------------------- */

uint8_t dl_head(const uint8_t **item, uint64_t *argument) {
    struct dunlin_span in = {*item, 9};
    struct head head;
    take_head(&in, &head);
    *item = in.data;
    *argument = head.argument;
    return head.major;
}

const uint8_t *dl_end(const uint8_t *item) {
    for (uint64_t left = 1; left > 0; left--) {
        uint64_t argument;
        switch (dl_head(&item, &argument)) {
        case DL_BYTES:
        case DL_TEXT: item += argument; break;
        case DL_ARRAY: left += argument; break;
        case DL_MAP: left += 2 * argument; break;
        case DL_TAG: left++; break;
        default: break;
        }
    }
    return item;
}

struct dunlin_span dl_item(struct dunlin_span *in) {
    const struct dunlin_span item = {in->data, (size_t)(dl_end(in->data) - in->data)};
    in->data += item.size, in->size -= item.size;
    return item;
}

const uint8_t *dl_next(struct dunlin_span *list) {
    return list->size ? dl_item(list).data : NULL;
}

struct dunlin_span dl_inside(const uint8_t *item) {
    struct dunlin_span content = {NULL, 0};
    if (item) {
        const uint8_t *const end = dl_end(item);
        uint64_t argument;
        dl_head(&item, &argument);
        content = (struct dunlin_span){item, (size_t)(end - item)};
    }
    return content;
}

struct dunlin_span dl_take(struct dunlin_span *list) {
    return dl_inside(dl_next(list));
}

int dl_string(struct dunlin_span *in, uint8_t major, size_t least, size_t most, struct dunlin_span *content) {
    const uint8_t *const item = dl_next(in);
    if (!item || *item >> 5 != major) {
        return DUNLIN_E_TYPE;
    }
    *content = dl_inside(item);
    return content->size < least || content->size > most ? DUNLIN_E_RANGE : 0;
}

int dl_list(struct dunlin_span *in, uint8_t major, uint32_t least, uint32_t most, struct dunlin_span *inside) {
    const uint8_t *item = dl_next(in);
    uint64_t count;
    *inside = dl_inside(item);
    if (!item || dl_head(&item, &count) != major) {
        return DUNLIN_E_TYPE;
    }
    return count < least || count > most ? DUNLIN_E_COUNT : 0;
}

const uint8_t *dl_lookup(const uint8_t *record, uint8_t key) {
    uint64_t count = 0;
    if (record) {
        dl_head(&record, &count);
    }
    for (; count > 0; count--) {
        const uint8_t *const value = record + 1;
        if (*record == key) {
            return value;
        }
        record = dl_end(value);
    }
    return NULL;
}

bool dl_same(struct dunlin_span a, struct dunlin_span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool dl_is(struct dunlin_span text, const char *word) {
    return dl_same(text, (struct dunlin_span){(const uint8_t *)word, strlen(word)});
}

int dl_order(struct dunlin_span a, struct dunlin_span b) {
    const size_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}
