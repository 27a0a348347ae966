/* Flash operations that are checked: what was erased reads blank, what was programmed reads back. */
#ifndef DL_FLASH_H
#define DL_FLASH_H

#include <stdbool.h>

#include "dunlin/contract.h"
#include "dunlin/port.h"

/* One sector at a time, the watchdog kicked between. FLASH. */
int dl_flash_erase(const struct dunlin_flash *flash, const struct dunlin_board *board, uint32_t offset, uint32_t length);
/* `offset` is a multiple of 32 or of the write unit; the last unit is filled up with 0xff. FLASH. */
int dl_flash_program(const struct dunlin_flash *flash, uint32_t offset, const void *data, uint32_t length);
bool dl_flash_blank(const struct dunlin_flash *flash, uint32_t offset, uint32_t length);
/* Power of two sizes, and a region that is whole sectors of it. FLASH_LAYOUT. */
int dl_flash_check(const struct dunlin_flash *flash, uint32_t offset, uint32_t length);

#endif
