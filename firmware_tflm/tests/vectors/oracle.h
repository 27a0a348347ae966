/* zcbor's reader of contract/dunlin.cddl: the second opinion on what src/contract/schema.c reads. */
#ifndef ORACLE_H
#define ORACLE_H

#include "all_records.h"
#include "dunlin/contract.h"

#define DL_READ(record, item, out) oracle_rule(cbor_decode_##record((item).data, (item).size, (out), NULL))

/* The rule that comes nearest to zcbor's error; 0 for none. */
int oracle_rule(int zcbor_error);

static inline struct dunlin_span dl_span(struct zcbor_string string) {
    return (struct dunlin_span){string.value, string.len};
}

#endif
