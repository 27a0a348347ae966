/* The closed schema: what may stand in each record is a table (src/generated), made from contract/dunlin.cddl.
 *
 * A record is checked once, whole; then its fields are looked up where they lie. */
#ifndef DL_SCHEMA_H
#define DL_SCHEMA_H

#include "contract/cbor.h"
#include "dunlin_schema.h"

/* One canonical item of at most `cap` bytes, and the record DL_RECORD_...: the rules of encoding and closed schema, in the
 * order of the schema's fields; and ORDER, for lists that must ascend. */
int dl_schema_check(struct dunlin_span record, size_t cap, uint16_t schema);
/* Place of a text in the list DL_CHOICE_...; -1: it is none of them. */
int dl_choice(uint16_t list, struct dunlin_span text);

/* Fields of a checked record. Absent: 0, empty. */
uint64_t dl_number(const uint8_t *record, uint8_t key);
/* Of a string, an array, a map: what it holds. */
struct dunlin_span dl_content(const uint8_t *record, uint8_t key);
/* The same of a string, as a place; NULL: absent. */
const uint8_t *dl_bytes(const uint8_t *record, uint8_t key);
/* Copies `size` bytes of a string that has as many, by the schema. */
void dl_copy_bytes(uint8_t *to, size_t size, const uint8_t *record, uint8_t key);
int dl_choice_at(const uint8_t *record, uint8_t key, uint16_t list);
/* Floating point. */
double dl_real(const uint8_t *record, uint8_t key);

/* Text of a kind; VALUE, or RANGE, if it is not. */
int dl_name_check(struct dunlin_span text, size_t most); /* model, variant kind: [a-z0-9][a-z0-9-]* */
int dl_device_check(struct dunlin_span text);            /* [a-z0-9-]{1,36}, not "obj" */

/* Copies text of at most `room - 1` bytes and ends it. */
void dl_copy_text(char *out, size_t room, struct dunlin_span text);

#endif
