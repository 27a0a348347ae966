/* The board's numbers. Change them, write vendor.c, and the rest of this folder is done. */
#ifndef PORT_H
#define PORT_H

#include "dunlin/port.h"

#define PORT_FLASH_BASE 0x21000000u /* where the part of the flash that Dunlin may use is mapped */
#define PORT_FLASH_SIZE 0x00300000u
#define PORT_SECTOR 4096u           /* erased at a time */
#define PORT_WRITE 8u               /* programmed at a time, once between two erasures */

/* Offsets from PORT_FLASH_BASE: whole sectors, not overlapping, nothing of them in the linker script's ROM. */
#define PORT_KEYS 0x000000u         /* the crypto library's persistent keys: 6 sectors and 24 KiB at least */
#define PORT_KEYS_SIZE 0x008000u
#define PORT_STORE 0x010000u        /* the core's journal: 6 sectors and 24 KiB at least */
#define PORT_STORE_SIZE 0x010000u
#define PORT_SPARE 0x020000u        /* two sectors, for port_check() */
#define PORT_SLOT_0 0x100000u       /* two slots of PORT_SLOT_SIZE; `packager` prints what a bundle takes */
#define PORT_SLOT_1 0x200000u
#define PORT_SLOT_SIZE 0x100000u

/* Identifiers of persistent keys: 1 .. 0x7fff with its_store.c, the vendor's range with a vendor's key store. */
#define PORT_KEY_IDENTITY 1u
#define PORT_KEY_KEM_0 2u
#define PORT_KEY_KEM_1 3u
#define PORT_KEY_CHECK 9u

#define PORT_ARENA (128u * 1024u)   /* for the interpreter: at least the `arena` of every model that shall fit */

/* Set the board up: 0, or a code for dunlin_reason(). Then psa_crypto_init() works, and `port_table` is for the core. */
int port_start(void);
extern const struct dunlin_port port_table;

#endif
