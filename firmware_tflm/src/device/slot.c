#include "device/slot.h"

#include <string.h>

#include "device/crc32.h"
#include "device/flash.h"
#include "dunlin/error.h"

#define MAGIC 0x534c4e44u /* "DNLS" */

struct slot_header {
    uint32_t magic;
    uint16_t manifest_size;
    uint8_t variant, zero[5];
    uint32_t chunks;
    uint8_t release[DUNLIN_DIGEST];
    uint8_t unused[12];
    uint32_t crc;
};
_Static_assert(sizeof(struct slot_header) == 64, "slot header in flash: two of the largest write units");

static uint32_t up(uint32_t size, uint32_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

/* What depends on the number of chunks alone. */
static void begin(struct dl_slot *s, uint32_t base, uint32_t chunks, const struct dunlin_flash *flash)
{
    memset(s, 0, sizeof *s);
    s->base = base;
    s->chunks = chunks;
    s->unit = flash->sector > DL_SLOT_UNIT ? flash->sector : DL_SLOT_UNIT;
    s->manifest = up((uint32_t)sizeof(struct slot_header) + DL_MARK_BYTES * chunks, s->unit);
    s->leaves = s->manifest + s->unit;
}

int dl_slot_layout(struct dl_slot *s, const struct dl_variant *variant, uint32_t base, uint32_t room,
                   const struct dunlin_flash *flash)
{
    uint32_t chunks = 0;
    uint64_t end;
    unsigned i;

    for (i = 0; i < variant->payloads; i++)
        chunks += variant->payload[i].chunks;
    if (chunks > room / DUNLIN_DIGEST)
        return DUNLIN_E_SLOT_SIZE;
    begin(s, base, chunks, flash);
    end = (uint64_t)s->leaves + up(DUNLIN_DIGEST * chunks, s->unit);
    for (i = 0; i < variant->payloads; i++) {
        if (variant->payload[i].installed > room || end > room)
            return DUNLIN_E_SLOT_SIZE;
        s->payload[i] = (uint32_t)end;
        end += up(variant->payload[i].installed, s->unit);
    }
    s->end = (uint32_t)end;
    return end > room ? DUNLIN_E_SLOT_SIZE : DUNLIN_OK;
}

bool dl_slot_read(const struct dunlin_flash *flash, uint32_t base, uint32_t room, const uint8_t release[DUNLIN_DIGEST],
                  struct dl_slot *s, uint8_t *variant)
{
    struct slot_header h;

    memcpy(&h, flash->base + base, sizeof h);
    if (h.magic != MAGIC || h.crc != dl_crc32(0, &h, offsetof(struct slot_header, crc)))
        return false;
    if (memcmp(h.release, release, DUNLIN_DIGEST) != 0 || h.chunks > room / DUNLIN_DIGEST)
        return false;
    begin(s, base, h.chunks, flash);
    s->manifest_size = h.manifest_size;
    *variant = h.variant;
    return h.manifest_size <= s->unit && s->leaves <= room;
}

int dl_slot_write(const struct dunlin_flash *flash, const struct dl_slot *s, const uint8_t release[DUNLIN_DIGEST],
                  uint8_t variant)
{
    struct slot_header h;

    memset(&h, 0, sizeof h);
    h.magic = MAGIC;
    h.manifest_size = s->manifest_size;
    h.variant = variant;
    h.chunks = s->chunks;
    memcpy(h.release, release, DUNLIN_DIGEST);
    h.crc = dl_crc32(0, &h, offsetof(struct slot_header, crc));
    return dl_flash_program(flash, s->base, &h, sizeof h);
}

struct dunlin_span dl_slot_manifest(const struct dunlin_flash *flash, const struct dl_slot *s)
{
    return (struct dunlin_span){flash->base + s->base + s->manifest, s->manifest_size};
}

const uint8_t *dl_slot_leaf(const struct dunlin_flash *flash, const struct dl_slot *s, uint32_t chunk)
{
    return flash->base + s->base + s->leaves + chunk * DUNLIN_DIGEST;
}

static uint32_t mark_at(const struct dl_slot *s, uint32_t chunk)
{
    return s->base + (uint32_t)sizeof(struct slot_header) + chunk * DL_MARK_BYTES;
}

bool dl_slot_marked(const struct dunlin_flash *flash, const struct dl_slot *s, uint32_t chunk)
{
    /* Even a mark that power loss cut short was begun after its chunk was whole. */
    return !dl_flash_blank(flash, mark_at(s, chunk), DL_MARK_BYTES);
}

int dl_slot_mark(const struct dunlin_flash *flash, const struct dl_slot *s, uint32_t chunk)
{
    static const uint8_t mark[DL_MARK_BYTES];

    return dl_flash_program(flash, mark_at(s, chunk), mark, sizeof mark);
}

uint32_t dl_slot_missing(const struct dunlin_flash *flash, const struct dl_slot *s, uint32_t chunk)
{
    while (chunk < s->chunks && dl_slot_marked(flash, s, chunk))
        chunk++;
    return chunk;
}

uint32_t dl_slot_count(const struct dunlin_flash *flash, const struct dl_slot *s)
{
    uint32_t chunk, count = 0;

    for (chunk = 0; chunk < s->chunks; chunk++)
        count += dl_slot_marked(flash, s, chunk);
    return count;
}

unsigned dl_payload_of(const struct dl_variant *variant, uint32_t chunk, uint32_t *index)
{
    unsigned i = 0;

    while (i + 1u < variant->payloads && chunk >= variant->payload[i].chunks)
        chunk -= variant->payload[i++].chunks;
    *index = chunk;
    return i;
}

uint32_t dl_chunk_bytes(const struct dl_payload *payload, uint32_t index)
{
    return index + 1 < payload->chunks ? DUNLIN_CHUNK : payload->installed - index * DUNLIN_CHUNK;
}
