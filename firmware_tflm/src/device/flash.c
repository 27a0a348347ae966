#include "device/flash.h"

#include <string.h>

#include "dunlin/error.h"

#define WRITE_MAX 32

bool dl_flash_blank(const struct dunlin_flash *flash, uint32_t offset, uint32_t length)
{
    const uint8_t *byte = flash->base + offset;
    uint32_t word;

    /* Four bytes at a time: sectors are blank far more often than not. */
    for (; length >= sizeof word; length -= (uint32_t)sizeof word, byte += sizeof word) {
        memcpy(&word, byte, sizeof word);
        if (word != UINT32_MAX)
            return false;
    }
    while (length--)
        if (*byte++ != 0xff)
            return false;
    return true;
}

int dl_flash_erase(const struct dunlin_flash *flash, const struct dunlin_board *board, uint32_t offset, uint32_t length)
{
    uint32_t end = offset + length;

    for (; offset < end; offset += flash->sector) {
        if (board)
            board->kick(board->ctx);
        if (flash->erase(flash->ctx, offset, flash->sector) || !dl_flash_blank(flash, offset, flash->sector))
            return DUNLIN_E_FLASH;
    }
    return DUNLIN_OK;
}

int dl_flash_program(const struct dunlin_flash *flash, uint32_t offset, const void *data, uint32_t length)
{
    const uint8_t *from = data;
    uint32_t whole = length & ~(flash->write - 1), rest = length - whole;
    uint8_t unit[WRITE_MAX];

    if (whole && flash->program(flash->ctx, offset, from, whole))
        return DUNLIN_E_FLASH;
    if (rest) {
        memset(unit, 0xff, sizeof unit);
        memcpy(unit, from + whole, rest);
        if (flash->program(flash->ctx, offset + whole, unit, flash->write))
            return DUNLIN_E_FLASH;
    }
    return memcmp(flash->base + offset, from, length) ? DUNLIN_E_FLASH : DUNLIN_OK;
}

static bool power_of_two(uint32_t n, uint32_t least, uint32_t most)
{
    return n >= least && n <= most && (n & (n - 1)) == 0;
}

int dl_flash_check(const struct dunlin_flash *flash, uint32_t offset, uint32_t length)
{
    if (!power_of_two(flash->sector, 512, 131072) || !power_of_two(flash->write, 1, WRITE_MAX))
        return DUNLIN_E_FLASH_LAYOUT;
    if (offset % flash->sector || length % flash->sector || !length)
        return DUNLIN_E_FLASH_LAYOUT;
    if (length > flash->size || offset > flash->size - length)
        return DUNLIN_E_FLASH_LAYOUT;
    return DUNLIN_OK;
}
