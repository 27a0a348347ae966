/* A journal in flash: numbered records of which the newest counts. Power may fail at any byte of any operation; what
 * was put before is then there, whole, or what was there before that.
 *
 * Two areas. Records are appended, each with its CRC-32; several put in one transaction count only once the last one is
 * whole. A full area is copied, newest records only, into the other, whose header is written last. */
#ifndef DL_STORE_H
#define DL_STORE_H

#include <stdbool.h>

#include "dunlin/contract.h"
#include "dunlin/error.h"
#include "dunlin/port.h"

struct dl_store {
    const struct dunlin_flash *flash;
    const struct dunlin_board *board; /* for the watchdog; may be NULL */
    uint8_t current;
    bool dirty;          /* behind `committed` lies something unfinished: the next put begins in the other area */
    bool broken;         /* an operation failed: nothing more is written until the next open */
    uint32_t area[2], area_size;
    uint32_t head;       /* where the next record goes, from the area's start */
    uint32_t committed;  /* end of the last whole transaction; `head` is beyond it inside a transaction */
    uint32_t generation;
};

/* Find the newest state, or format. `offset` and `size`: whole sectors, two areas of size / 2. FLASH, FLASH_LAYOUT. */
int dl_store_open(struct dl_store *store, const struct dunlin_flash *flash, const struct dunlin_board *board,
                  uint32_t offset, uint32_t size);
/* The newest record of `key` (1 .. 0x7fff), in place: valid until the next put. Empty span: there is none.
 * What an unfinished transaction put is not seen. */
struct dunlin_span dl_store_get(const struct dl_store *store, uint16_t key);
/* Put one record; size 0 deletes. `more`: part of a transaction that a put without `more` ends. `data` may lie in the
 * store itself. FULL, FLASH: the whole transaction is as if it had not begun. */
int dl_store_put(struct dl_store *store, uint16_t key, const void *data, size_t size, bool more);
/* Forget a transaction that was not ended. */
void dl_store_abandon(struct dl_store *store);
/* Copy what counts, but the record of `key` (0: all of it), to the other area and erase this one: deleted and replaced
 * records are gone from flash. A cut leaves the record where it was, or ends at the next open. */
int dl_store_scrub(struct dl_store *store, uint16_t key);

#endif
