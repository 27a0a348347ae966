/* PSA Internal Trusted Storage (psa_its_*) in the board's own flash: where the crypto library keeps persistent keys.
 * Keys lie in flash as they are, so the tier that a device with it reports is "flash". */
#ifndef ITS_STORE_H
#define ITS_STORE_H

#include "dunlin/port.h"

/* Before psa_crypto_init(). `offset` and `size`: whole sectors of a region of its own, an even number of them, 8 KiB at least.
 * 0, FLASH, FLASH_LAYOUT. */
int its_store_open(const struct dunlin_flash *flash, const struct dunlin_board *board, uint32_t offset, uint32_t size);

#endif
