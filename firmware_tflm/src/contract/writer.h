/* Deterministic CBOR into a buffer. Running over its end sets `full`, and is looked at once, at the end. */
#ifndef DL_WRITER_H
#define DL_WRITER_H

#include <stdbool.h>

#include "dunlin/contract.h"

struct dl_writer {
    uint8_t *at;
    size_t room;
    bool full;
    uint8_t *map; /* head of the innermost open map, which counts the fields that are put: fewer than 24 */
};

/* Opens a map; gives the one around it, to be put back into `map` when this one is whole. */
uint8_t *dl_put_map(struct dl_writer *to);
/* The key of a field; a value must follow. */
void dl_put_key(struct dl_writer *to, uint32_t key);
void dl_put_name(struct dl_writer *to, const char *key);
void dl_put_head(struct dl_writer *to, uint8_t major, uint64_t argument);
/* A string of major type `major`. */
void dl_put_span(struct dl_writer *to, uint8_t major, struct dunlin_span content);
void dl_put_text(struct dl_writer *to, const char *text);

/* Fields of a map that are members of a struct, in the order of their keys: a table of four bytes a field. */
#define DL_OPTIONAL 0x20u /* with the key: left out where the number is 0, the text NULL or empty, the bytes NULL */
struct dl_field {
    uint8_t key, major, size, at; /* at: of the member, in the struct */
};
#define DL_PUT_NUMBER(key, type, member) {key, DL_UINT, sizeof((struct type *)0)->member, offsetof(struct type, member)}
#define DL_PUT_TEXT(key, type, member) {key, DL_TEXT, 0, offsetof(struct type, member)}
#define DL_PUT_BYTES(key, type, member, size) {key, DL_BYTES, size, offsetof(struct type, member)}
void dl_put_fields(struct dl_writer *to, const struct dl_field *fields, size_t count, const void *record);

#endif
