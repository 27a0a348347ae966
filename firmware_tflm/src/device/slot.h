/* A slot in flash: [header, a mark for each chunk][manifest envelope][leaves][payload 0][payload 1]...
 *
 * Each part begins at a multiple of the slot unit: 4096 bytes, or a sector where that is larger. The header is written
 * once manifest and leaves are there and right, so a slot with one says itself what it is being filled with; a mark is
 * written once its chunk is there. */
#ifndef DL_SLOT_H
#define DL_SLOT_H

#include <stdbool.h>

#include "contract/verify.h"
#include "dunlin/port.h"

#define DL_SLOT_UNIT 4096
#define DL_MARK_BYTES 32

struct dl_slot {
    uint32_t base;                             /* in flash; the rest counts from here */
    uint32_t manifest, leaves, payload[DUNLIN_PAYLOADS], end;
    uint32_t chunks;                           /* of all payloads of the variant */
    uint32_t unit;
    uint16_t manifest_size;
};

/* Where the parts of a variant lie. SLOT_SIZE: not within `room` bytes. */
int dl_slot_layout(struct dl_slot *slot, const struct dl_variant *variant, uint32_t base, uint32_t room,
                   const struct dunlin_flash *flash);

/* The header: what this slot holds, or is being filled with; manifest and its size are then known. False: there is
 * none, or another release's. */
bool dl_slot_read(const struct dunlin_flash *flash, uint32_t base, uint32_t room, const uint8_t release[DUNLIN_DIGEST],
                  struct dl_slot *slot, uint8_t *variant);
/* FLASH. */
int dl_slot_write(const struct dunlin_flash *flash, const struct dl_slot *slot, const uint8_t release[DUNLIN_DIGEST],
                  uint8_t variant);

struct dunlin_span dl_slot_manifest(const struct dunlin_flash *flash, const struct dl_slot *slot);
/* Leaf, mark, place and length of chunk `chunk` of all, which is number `index` of payload `payload`. */
const uint8_t *dl_slot_leaf(const struct dunlin_flash *flash, const struct dl_slot *slot, uint32_t chunk);
bool dl_slot_marked(const struct dunlin_flash *flash, const struct dl_slot *slot, uint32_t chunk);
int dl_slot_mark(const struct dunlin_flash *flash, const struct dl_slot *slot, uint32_t chunk);
/* First chunk from `chunk` on that has no mark; slot->chunks if there is none. */
uint32_t dl_slot_missing(const struct dunlin_flash *flash, const struct dl_slot *slot, uint32_t chunk);
uint32_t dl_slot_count(const struct dunlin_flash *flash, const struct dl_slot *slot);

/* Of a payload: which one a chunk belongs to, and its first chunk. */
unsigned dl_payload_of(const struct dl_variant *variant, uint32_t chunk, uint32_t *index);
uint32_t dl_chunk_bytes(const struct dl_payload *payload, uint32_t index);

#endif
