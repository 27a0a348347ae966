/* Deterministic CBOR (RFC 8949 section 4.2.1): one pass over hostile bytes, then a cursor over what passed it.
 *
 * A cursor is a span that shrinks from the front. Only checked bytes may be walked: nothing below looks for an end. */
#ifndef DL_CBOR_H
#define DL_CBOR_H

#include <stdbool.h>

#include "dunlin/contract.h"
#include "dunlin/error.h"

enum { DL_UINT, DL_NEGATIVE, DL_BYTES, DL_TEXT, DL_ARRAY, DL_MAP, DL_TAG, DL_SIMPLE }; /* major types */

/* As dl_cbor_check(), and no text anywhere holds a control, a line separator or a direction override: VALUE. */
int dl_record_check(struct dunlin_span record, size_t cap);

/* Takes the next item's head: its major type, and its number, length or count in `argument`. */
uint8_t dl_head(struct dunlin_span *in, uint64_t *argument);
/* Takes the next item, whole. */
struct dunlin_span dl_item(struct dunlin_span *in);
/* Takes a byte or text string: TYPE, RANGE for a length outside least .. most. */
int dl_string(struct dunlin_span *in, uint8_t major, size_t least, size_t most, struct dunlin_span *content);
/* Takes an array or map: TYPE, COUNT for one outside least .. most. `inside` is what it holds. */
int dl_list(struct dunlin_span *in, uint8_t major, uint32_t least, uint32_t most, struct dunlin_span *inside);
/* Value of integer key `key` of a whole map; empty if it has none. */
struct dunlin_span dl_lookup(struct dunlin_span map, uint8_t key);

bool dl_same(struct dunlin_span a, struct dunlin_span b);
bool dl_is(struct dunlin_span text, const char *word);
/* Order by bytes, which for text is that of Unicode code points: negative, 0, positive. */
int dl_order(struct dunlin_span a, struct dunlin_span b);

#endif
