/* Interprets the table of src/generated: tools/schema_table.py says what its bytes mean. */
#include "contract/schema.h"

#include <string.h>

#include "contract/verify.h"

#define OPTIONAL 0x20
#define DEFAULT 0x40
#define KEY 0x1f
#define END 0xff

bool dl_form_holds(uint8_t form, struct dunlin_span text);

/* Takes a number: of the table, or of a record. */
static uint64_t operand(const uint8_t **at) {
    uint64_t number;
    dl_head(at, &number);
    return number;
}

static bool is_within(const uint8_t **type, uint64_t number) {
    const uint64_t least = operand(type);
    return (number >= least) & (number <= operand(type));
}

static bool is_integer_within(const uint8_t **type, uint8_t major, uint64_t number) {
    uint64_t least;
    const bool below = dl_head(type, &least) == DL_NEGATIVE;
    const uint64_t most = operand(type);
    /* CBOR has -1 - n for a negative number. */
    return major == DL_NEGATIVE ? below && number <= least : (below || number >= least) && number <= most;
}

/* ---- floating point ------------------------------------------------------------------------------------------------------ */

/* The bits of a double with the item's value. */
static uint64_t real_bits(const uint8_t *item) {
    const uint8_t info = *item & 0x1f;
    const int mantissa = info == 25 ? 10 : 23, exponent = info == 25 ? 5 : 8;
    uint64_t value;
    dl_head(&item, &value);
    if (info == 27) {
        return value;
    }
    const uint32_t bits = (uint32_t)value, ones = (1u << exponent) - 1;
    const uint64_t sign = (uint64_t)(bits >> (mantissa + exponent)) << 63;
    uint32_t e = bits >> mantissa & ones, m = bits & ((1u << mantissa) - 1), bias = 1023 - (ones >> 1);
    if (e == ones) {
        return sign | UINT64_C(0x7ff) << 52 | m;
    }
    if (e == 0) {
        if (m == 0) {
            return sign;
        }
        /* Too small for a leading one here, not so in a double. */
        for (e = 1; !(m >> mantissa); bias--) {
            m <<= 1;
        }
        m &= (1u << mantissa) - 1;
    }
    return sign | (uint64_t)(e + bias) << 52 | (uint64_t)m << (52 - mantissa);
}

/* As numbers of one sign compare, so do their bits. */
static bool is_bounded(uint8_t bound, uint64_t bits) {
    const uint64_t infinity = UINT64_C(0x7ff) << 52, sign = UINT64_C(1) << 63;
    if ((bits & ~sign) >= infinity) {
        return false;
    }
    return bound == 0 || (bound == 1 ? bits <= sign : bits < sign && bits >= UINT64_C(0x3e112e0be826d695) /* 1e-9 */);
}

/* ---- closed lists, order -------------------------------------------------------------------------------------------------- */

static int place_in(const uint8_t **type, struct dunlin_span text) {
    int place = -1;
    for (int i = 0, count = (int)operand(type); i < count; i++) {
        const struct dunlin_span one = {*type + 1, **type};
        if (dl_same(one, text)) {
            place = i;
        }
        *type = one.data + one.size;
    }
    return place;
}

/* Numbers by value, strings by their bytes, maps field by field. Both are of one type. */
static int order(struct dunlin_span a, struct dunlin_span b) {
    const uint8_t *const a_end = a.data + a.size, *const b_end = b.data + b.size;
    while (a.data < a_end && b.data < b_end) {
        uint64_t x, y;
        const uint8_t major = dl_head(&a.data, &x);
        dl_head(&b.data, &y);
        if (major == DL_UINT && x != y) {
            return x < y ? -1 : 1;
        }
        if (major == DL_TEXT || major == DL_BYTES) {
            const struct dunlin_span one = {a.data, (size_t)x}, other = {b.data, (size_t)y};
            const int order = dl_order(one, other);
            if (order) {
                return order;
            }
            a.data += x, b.data += y;
        }
    }
    return 0;
}

/* ---- types ----------------------------------------------------------------------------------------------------------------- */

static int check(const uint8_t **type, struct dunlin_span *in);

static int check_array(const uint8_t **type, struct dunlin_span inside, uint64_t count) {
    const bool ascends = operand(type);
    struct dunlin_span last = {NULL, 0};
    int error = is_within(type, count) ? 0 : DUNLIN_E_COUNT;
    while (inside.size > 0 && !error) {
        const uint8_t *item = *type;
        struct dunlin_span one = inside;
        error = check(&item, &inside);
        one.size -= inside.size;
        if (!error && ascends && last.data && order(last, one) >= 0) {
            error = DUNLIN_E_ORDER;
        }
        last = one;
    }
    return error;
}

static int check_table(const uint8_t **type, struct dunlin_span inside, uint64_t count) {
    int error = count <= operand(type) ? 0 : DUNLIN_E_COUNT;
    while (inside.size > 0 && !error) {
        const uint8_t *pair = *type;
        error = check(&pair, &inside);
        if (!error) {
            error = check(&pair, &inside);
        }
    }
    return error;
}

static int check_record(const uint8_t *field, struct dunlin_span inside) {
    for (; *field != END;) {
        const uint8_t flags = *field++;
        const bool has_default = flags & DEFAULT;
        const uint64_t normal = has_default ? operand(&field) : 0;
        const uint8_t *type = field + 1;
        field = type + *field;
        if (inside.size == 0 || inside.data[0] != (flags & KEY)) {
            if (!(flags & OPTIONAL)) {
                return DUNLIN_E_FIELD_MISSING;
            }
            continue;
        }
        inside.data++, inside.size--;
        const uint8_t *head = inside.data;
        uint64_t argument;
        const uint8_t major = dl_head(&head, &argument);
        const int error = check(&type, &inside);
        if (has_default && argument == normal && major != DL_NEGATIVE && error != DUNLIN_E_TYPE) {
            return DUNLIN_E_CANONICAL;
        }
        if (error) {
            return error;
        }
    }
    return inside.size ? DUNLIN_E_FIELD_UNKNOWN : 0;
}

/* Takes one item, which must be of the type; `type` is then behind it, but for arrays and tables, which end a type. */
static int check(const uint8_t **type, struct dunlin_span *in) {
    const struct dunlin_span item = dl_item(in);
    struct dunlin_span content = item;
    uint64_t argument;
    const uint8_t major = dl_head(&content.data, &argument);
    content.size -= (size_t)(content.data - item.data);
    const uint8_t *shared;
    if (**type == '@') { /* the type stands elsewhere; there, none begins so */
        shared = dl_schema + ((*type)[1] << 8 | (*type)[2]);
        *type += 3;
        type = &shared;
    }
    const bool is_float = item.size > 2 && major == DL_SIMPLE;
    const char letter = (char)*(*type)++;
    switch (letter) {
    case 'R': return major != DL_MAP ? DUNLIN_E_TYPE : check_record(*type, content);
    case 'A': return major != DL_ARRAY ? DUNLIN_E_TYPE : check_array(type, content, argument);
    case 'M': return major != DL_MAP ? DUNLIN_E_TYPE : check_table(type, content, argument);
    case 'C': return place_in(type, major == DL_TEXT ? content : (struct dunlin_span){NULL, 0}) < 0 ? DUNLIN_E_VALUE : 0;
    case 'B': return item.data[0] >> 1 == 0xf4 >> 1 ? 0 : DUNLIN_E_TYPE;
    case 'F': {
        const uint8_t bound = (uint8_t)operand(type);
        return !is_float ? DUNLIN_E_TYPE : is_bounded(bound, real_bits(item.data)) ? 0 : DUNLIN_E_RANGE;
    }
    case 'X': return operand(type) == argument && major == DL_UINT ? 0 : DUNLIN_E_VERSION;
    case 'V': return is_within(type, argument) && major == DL_UINT ? 0 : DUNLIN_E_VALUE;
    case 'U':
        if (!is_integer_within(type, major, argument)) {
            return major > DL_NEGATIVE ? DUNLIN_E_TYPE : DUNLIN_E_RANGE;
        }
        return major > DL_NEGATIVE ? DUNLIN_E_TYPE : 0;
    case 'Y':
        if (!is_within(type, argument)) {
            return major != DL_BYTES ? DUNLIN_E_TYPE : DUNLIN_E_RANGE;
        }
        return major != DL_BYTES ? DUNLIN_E_TYPE : 0;
    default: { /* 'T' */
        const uint8_t form = (uint8_t)operand(type);
        const bool fits = is_within(type, argument);
        return major != DL_TEXT ? DUNLIN_E_TYPE : !fits ? DUNLIN_E_RANGE : dl_form_holds(form, content) ? 0 : DUNLIN_E_VALUE;
    }
    }
}

int dl_schema_check(struct dunlin_span record, size_t cap, uint16_t schema) {
    const uint8_t *type = dl_schema + schema;
    const int error = dl_record_check(record, cap);
    return error ? error : check(&type, &record);
}

/* ---- fields ---------------------------------------------------------------------------------------------------------------- */

int dl_choice(uint16_t list, struct dunlin_span text) {
    const uint8_t *type = dl_schema + list + 1;
    return place_in(&type, text);
}

uint64_t dl_number(const uint8_t *record, uint8_t key) {
    const uint8_t *value = dl_lookup(record, key);
    return value ? operand(&value) : 0;
}

struct dunlin_span dl_content(const uint8_t *record, uint8_t key) {
    return dl_inside(dl_lookup(record, key));
}

const uint8_t *dl_bytes(const uint8_t *record, uint8_t key) {
    const struct dunlin_span content = dl_content(record, key);
    return content.size ? content.data : NULL;
}

void dl_copy_bytes(uint8_t *to, size_t size, const uint8_t *record, uint8_t key) {
    memcpy(to, dl_content(record, key).data, size);
}

int dl_choice_at(const uint8_t *record, uint8_t key, uint16_t list) {
    return dl_choice(list, dl_content(record, key));
}

double dl_real(const uint8_t *record, uint8_t key) {
    union {
        uint64_t bits;
        double number;
    } as = {real_bits(dl_lookup(record, key))};
    return as.number;
}
