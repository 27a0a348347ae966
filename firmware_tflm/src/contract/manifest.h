/* Keys of a manifest's records, and ways through one that was checked. */
#ifndef DL_MANIFEST_H
#define DL_MANIFEST_H

#include "contract/schema.h"
#include "contract/verify.h"

enum { DL_M_NAME = 1, DL_M_VERSION, DL_M_COUNTER, DL_M_CREATED, DL_M_NOT_AFTER, DL_M_VARIANTS, DL_M_PAYLOADS };
enum { DL_V_KIND, DL_V_FIT, DL_V_IO, DL_V_PAYLOADS, DL_V_BUDGET, DL_V_GOLDEN };
enum { DL_F_RUNTIME, DL_F_VERSION, DL_F_OPS, DL_F_ARENA, DL_F_FLASH, DL_F_MEMORY, DL_F_CLASSES, DL_F_STORES };
enum {
    DL_P_ID,
    DL_P_ROLE,
    DL_P_FORMAT,
    DL_P_COMPRESSION,
    DL_P_DELTA_BASE,
    DL_P_INSTALLED,
    DL_P_SHA256,
    DL_P_PLAINTEXT,
    DL_P_CIPHERTEXT,
    DL_P_CHUNK_LOG2,
    DL_P_CHUNKS,
    DL_P_MERKLE
};

/* Item `index` of a list; NULL past its end. */
const uint8_t *dl_item_at(struct dunlin_span items, uint32_t index);
/* Takes an integer of a checked list. */
uint32_t dl_take_number(struct dunlin_span *items);
/* Record of a payload; NULL: there is none. */
const uint8_t *dl_payload_at(const struct dl_manifest *manifest, uint32_t index);

#endif
