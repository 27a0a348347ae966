/* Tries a new board's flash, clock, random generator and key store, each alone, before the core runs on them. */
#ifndef PORT_CHECK_H
#define PORT_CHECK_H

#include "dunlin/port.h"

/* Logs one line a part through board->log: what works, or what does not and why. Gives the number of parts that failed.
 *
 * `spare`: offset of two sectors of flash that hold nothing; `key_id`: a persistent key identifier that nothing uses.
 * psa_crypto_init() comes first. The key survives, so that a second run after a reset tells whether keys persist. */
int port_check(const struct dunlin_flash *flash, const struct dunlin_board *board, uint32_t spare, uint32_t key_id);

#endif
