/* Texts of a form that the contract gives by regular expressions. */
#include <string.h>

#include "contract/schema.h"
#include "contract/verify.h"

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* [a-z0-9-]; `dash`: from which place on a dash may stand. */
static bool is_label(struct dunlin_span text, size_t dash) {
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        if (!is_digit(c) && (c < 'a' || c > 'z') && (c != '-' || i < dash)) {
            return false;
        }
    }
    return text.size > 0;
}

int dl_name_check(struct dunlin_span text, size_t most) {
    return text.size > most ? DUNLIN_E_RANGE : is_label(text, 1) ? 0 : DUNLIN_E_VALUE;
}

int dl_device_check(struct dunlin_span text) {
    const bool good = is_label(text, 0) && !dl_is(text, "obj");
    return text.size > DUNLIN_DEVICE ? DUNLIN_E_RANGE : good ? 0 : DUNLIN_E_VALUE;
}

/* One identifier between dots: of the core, or of the pre-release. */
static bool take_identifier(struct dunlin_span *text, bool core) {
    size_t size = 0;
    bool numeric = true;
    for (; size < text->size; size++) {
        const uint8_t c = text->data[size], folded = c | 0x20;
        if (!is_digit(c)) {
            if (core || (c != '-' && (folded < 'a' || folded > 'z'))) {
                break;
            }
            numeric = false;
        }
    }
    const bool padded = numeric && size > 1 && text->data[0] == '0';
    const bool good = size > 0 && !padded && (!core || size <= 9);
    text->data += size, text->size -= size;
    return good;
}

static bool take(struct dunlin_span *text, char c) {
    if (text->size == 0 || text->data[0] != c) {
        return false;
    }
    text->data++, text->size--;
    return true;
}

/* Semantic Versioning 2.0.0 without build metadata. */
static bool is_version(struct dunlin_span text) {
    bool good = take_identifier(&text, true) && take(&text, '.') && take_identifier(&text, true) && take(&text, '.') &&
                take_identifier(&text, true);
    if (good && take(&text, '-')) {
        do {
            good = take_identifier(&text, false);
        } while (good && take(&text, '.'));
    }
    return good && text.size == 0;
}

static bool is_https(struct dunlin_span text) {
    bool good = text.size > 8 && memcmp(text.data, "https://", 8) == 0;
    for (size_t i = 8; good && i < text.size; i++) {
        good = text.data[i] > ' ' && text.data[i] <= '~';
    }
    return good;
}

bool dl_form_holds(uint8_t form, struct dunlin_span text) {
    switch (form) { /* as tools/schema_table.py numbers them */
    case 0: return true;
    case 1: return is_label(text, 1);
    case 2: return dl_device_check(text) == 0;
    case 3: return is_version(text);
    default: return is_https(text);
    }
}

void dl_copy_text(char *out, size_t room, struct dunlin_span text) {
    const size_t size = text.size < room ? text.size : room - 1;
    memcpy(out, text.data, size);
    memset(out + size, 0, room - size);
}
