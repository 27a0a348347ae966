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
/* The same as a field of a map: its key first. */
void dl_put_bytes(struct dl_writer *to, uint32_t key, const void *data, size_t size);
void dl_put_text(struct dl_writer *to, uint32_t key, const char *text);
void dl_put_number(struct dl_writer *to, uint32_t key, uint64_t number);

#endif
