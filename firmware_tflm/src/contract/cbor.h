/* Deterministic CBOR (RFC 8949 section 4.2.1): one pass over hostile bytes, then ways through what passed it.
 *
 * A checked item is known by the place of its first byte, since it says itself where it ends; a list of them is a span
 * that shrinks from the front. Only checked bytes may be walked: nothing below looks for an end. */
#ifndef DL_CBOR_H
#define DL_CBOR_H

#include <stdbool.h>

#include "dunlin/contract.h"
#include "dunlin/error.h"

enum { DL_UINT, DL_NEGATIVE, DL_BYTES, DL_TEXT, DL_ARRAY, DL_MAP, DL_TAG, DL_SIMPLE }; /* major types */

/* As dl_cbor_check(), and no text anywhere holds a control, a line separator or a direction override: VALUE. */
int dl_record_check(struct dunlin_span record, size_t cap);

/* Takes an item's head: its major type, and its number, length or count in `argument`. */
uint8_t dl_head(const uint8_t **item, uint64_t *argument);
/* Where an item ends. */
const uint8_t *dl_end(const uint8_t *item);
/* What a string, an array or a map holds; empty for NULL. */
struct dunlin_span dl_inside(const uint8_t *item);
/* The value of a key of a record: an integer of one byte. NULL: it has none, or there is no record. */
const uint8_t *dl_lookup(const uint8_t *record, uint8_t key);

/* Of a list, the next item: whole; where it begins, NULL at the list's end; what it holds. */
struct dunlin_span dl_item(struct dunlin_span *list);
const uint8_t *dl_next(struct dunlin_span *list);
struct dunlin_span dl_take(struct dunlin_span *list);
/* Takes a byte or text string: TYPE, RANGE for a length outside least .. most. */
int dl_string(struct dunlin_span *in, uint8_t major, size_t least, size_t most, struct dunlin_span *content);
/* Takes an array or map: TYPE, COUNT for one outside least .. most. `inside` is what it holds. */
int dl_list(struct dunlin_span *in, uint8_t major, uint32_t least, uint32_t most, struct dunlin_span *inside);

bool dl_same(struct dunlin_span a, struct dunlin_span b);
bool dl_is(struct dunlin_span text, const char *word);
/* Order by bytes, which for text is that of Unicode code points: negative, 0, positive. */
int dl_order(struct dunlin_span a, struct dunlin_span b);

#endif
