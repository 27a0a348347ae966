#include "device/store.h"

#include <string.h>

#include "device/crc32.h"
#include "device/flash.h"

#define MAGIC 0x4a4c4e44u /* "DNLJ" */
#define MORE 0x8000u      /* in a record's key: the transaction goes on */
#define SIZE_MAX_ 0x7fffu

struct area_header {
    uint32_t magic, generation, size, crc;
};
struct record_header {
    uint16_t key, size;
    uint32_t crc; /* of generation, key, size and data: a record of an older generation does not count */
};
_Static_assert(sizeof(struct area_header) == 16, "area header in flash");
_Static_assert(sizeof(struct record_header) == 8, "record header in flash");

/* A record and its place; `at` and `next` count from the area's start. */
struct record {
    struct record_header header;
    uint32_t at, next;
};

static uint32_t up(const struct dl_store *s, uint32_t size)
{
    return (size + s->flash->write - 1) & ~(s->flash->write - 1);
}

static uint32_t first(const struct dl_store *s)
{
    return up(s, sizeof(struct area_header));
}

static const uint8_t *at(const struct dl_store *s, uint32_t offset)
{
    return s->flash->base + s->area[s->current] + offset;
}

static uint32_t record_crc(uint32_t generation, uint16_t key, uint16_t size, const void *data)
{
    struct {
        uint32_t generation;
        uint16_t key, size;
    } covered = {generation, key, size};

    return dl_crc32(dl_crc32(0, &covered, sizeof covered), data, size);
}

/* The record at `offset`, if its header can be one; its CRC is looked at when the store is opened. */
static bool record_at(const struct dl_store *s, uint32_t offset, uint32_t end, struct record *r)
{
    if (offset + sizeof r->header > end)
        return false;
    memcpy(&r->header, at(s, offset), sizeof r->header);
    r->at = offset;
    if (r->header.size > SIZE_MAX_)
        return false;
    r->next = offset + up(s, (uint32_t)sizeof r->header + r->header.size);
    return r->next <= end;
}

static bool area_read(const struct dl_store *s, unsigned area, uint32_t *generation)
{
    struct area_header header;

    memcpy(&header, s->flash->base + s->area[area], sizeof header);
    *generation = header.generation;
    return header.magic == MAGIC && header.size == s->area_size &&
           header.crc == dl_crc32(0, &header, offsetof(struct area_header, crc));
}

/* Where the whole records end, and the whole transactions; whether anything unfinished lies behind. */
static void scan(struct dl_store *s)
{
    struct record r;

    s->head = s->committed = first(s);
    while (record_at(s, s->head, s->area_size, &r) &&
           r.header.crc == record_crc(s->generation, r.header.key, r.header.size, at(s, s->head + sizeof r.header))) {
        s->head = r.next;
        if (!(r.header.key & MORE))
            s->committed = s->head;
    }
    s->dirty = s->head != s->committed ||
               !dl_flash_blank(s->flash, s->area[s->current] + s->head, s->area_size - s->head);
}

static int failed(struct dl_store *s, int code)
{
    s->broken = true;
    return code;
}

static int erase_area(struct dl_store *s, unsigned area)
{
    int rc = dl_flash_erase(s->flash, s->board, s->area[area], s->area_size);

    return rc ? failed(s, rc) : DUNLIN_OK;
}

static int write_header(struct dl_store *s, unsigned area, uint32_t generation)
{
    struct area_header header = {MAGIC, generation, s->area_size, 0};
    int rc;

    header.crc = dl_crc32(0, &header, offsetof(struct area_header, crc));
    rc = dl_flash_program(s->flash, s->area[area], &header, sizeof header);
    return rc ? failed(s, rc) : DUNLIN_OK;
}

/* Header and data together may share a write unit: the first bytes of the data travel with the header. */
static int write_record(struct dl_store *s, unsigned area, uint32_t *head, uint32_t generation, uint16_t key,
                        const uint8_t *data, uint16_t size)
{
    uint8_t start[32 + sizeof(struct record_header)];
    struct record_header header = {key, size, record_crc(generation, key, size, data)};
    uint32_t room = up(s, sizeof header), with = room - (uint32_t)sizeof header;
    int rc;

    if (*head + up(s, (uint32_t)sizeof header + size) > s->area_size)
        return DUNLIN_E_FULL;
    if (with > size)
        with = size;
    memcpy(start, &header, sizeof header);
    if (with)
        memcpy(start + sizeof header, data, with);
    rc = dl_flash_program(s->flash, s->area[area] + *head, start, (uint32_t)sizeof header + with);
    if (!rc && size > with)
        rc = dl_flash_program(s->flash, s->area[area] + *head + room, data + with, size - with);
    if (rc)
        return failed(s, rc);
    *head += up(s, (uint32_t)sizeof header + size);
    return DUNLIN_OK;
}

/* The newest record of `key` among whole transactions. */
static bool find(const struct dl_store *s, uint16_t key, struct record *newest)
{
    struct record r;
    uint32_t offset = first(s);
    bool found = false;

    while (offset < s->committed && record_at(s, offset, s->committed, &r)) {
        if ((r.header.key & ~MORE) == key) {
            *newest = r;
            found = true;
        }
        offset = r.next;
    }
    return found;
}

/* Into the other area: the newest records but that of `without`, then what an open transaction has put so far. */
static int copy_over(struct dl_store *s, uint16_t without)
{
    unsigned other = s->current ^ 1u;
    uint32_t head = first(s), committed, offset = first(s), end = s->dirty ? s->committed : s->head;
    struct record r, newest;
    int rc = erase_area(s, other);

    for (committed = head; !rc && offset < end && record_at(s, offset, end, &r); offset = r.next) {
        bool open = offset >= s->committed;
        uint16_t key = r.header.key & (uint16_t)~MORE;

        if (!open && (key == without || !find(s, key, &newest) || newest.at != offset || !r.header.size))
            continue;
        rc = write_record(s, other, &head, s->generation + 1, open ? r.header.key : key,
                          at(s, offset + sizeof r.header), r.header.size);
        if (!open)
            committed = head;
    }
    if (!rc)
        rc = write_header(s, other, s->generation + 1);
    if (rc)
        return rc;
    s->current = (uint8_t)other;
    s->generation++;
    s->head = head;
    s->committed = committed;
    s->dirty = false;
    return DUNLIN_OK;
}

int dl_store_open(struct dl_store *s, const struct dunlin_flash *flash, const struct dunlin_board *board,
                  uint32_t offset, uint32_t size)
{
    uint32_t generation[2];
    bool good[2];
    int rc;

    memset(s, 0, sizeof *s);
    s->flash = flash;
    s->board = board;
    rc = dl_flash_check(flash, offset, size);
    if (!rc)
        rc = dl_flash_check(flash, offset, size / 2);
    if (rc)
        return rc;
    s->area_size = size / 2;
    s->area[0] = offset;
    s->area[1] = offset + s->area_size;
    good[0] = area_read(s, 0, &generation[0]);
    good[1] = area_read(s, 1, &generation[1]);
    if (good[0] || good[1]) {
        s->current = good[1] && (!good[0] || generation[1] > generation[0]);
        s->generation = generation[s->current];
        scan(s);
        /* Power failed before the old area was erased: what was deleted from the new one still lies there. */
        if (!dl_flash_blank(flash, s->area[s->current ^ 1u], s->area_size))
            (void)dl_flash_erase(flash, board, s->area[s->current ^ 1u], s->area_size);
        return DUNLIN_OK;
    }
    s->generation = 1;
    s->head = s->committed = first(s);
    rc = erase_area(s, 0);
    return rc ? rc : write_header(s, 0, 1);
}

struct dunlin_span dl_store_get(const struct dl_store *s, uint16_t key)
{
    struct dunlin_span span = {NULL, 0};
    struct record r;

    if (find(s, key, &r) && r.header.size) {
        span.data = at(s, r.at + sizeof r.header);
        span.size = r.header.size;
    }
    return span;
}

void dl_store_abandon(struct dl_store *s)
{
    if (s->head != s->committed)
        s->dirty = true;
}

int dl_store_put(struct dl_store *s, uint16_t key, const void *data, size_t size, bool more)
{
    const uint8_t *from = size ? data : (const uint8_t *)"";
    bool moved = false;
    int rc = DUNLIN_OK;

    if (!key || key >= MORE || size > SIZE_MAX_)
        return DUNLIN_E_ARGUMENT;
    if (s->broken)
        return DUNLIN_E_FLASH;
    if (s->dirty)
        rc = copy_over(s, 0);
    while (!rc) {
        rc = write_record(s, s->current, &s->head, s->generation, more ? key | MORE : key, from, (uint16_t)size);
        if (rc != DUNLIN_E_FULL || moved)
            break;
        moved = true;
        rc = copy_over(s, 0);
    }
    if (rc)
        dl_store_abandon(s);
    else if (!more)
        s->committed = s->head;
    return rc;
}

int dl_store_scrub(struct dl_store *s, uint16_t key)
{
    int rc = s->broken ? DUNLIN_E_FLASH : copy_over(s, key);

    return rc ? rc : erase_area(s, s->current ^ 1u);
}
