/* The board's numbers. Change them, write vendor.c, and the rest of this folder is done. */
#ifndef PORT_H
#define PORT_H

#include "dunlin/port.h"

/* What the server and the packager know the board by. `boards` of a recipe names the same hardware class. */
#define PORT_HARDWARE_CLASS "my-board"
#define PORT_ARCH "armv7e-m"        /* Cortex-M4 and M7; M33 and M55: armv8-m.main, armv8.1-m.main */
#define PORT_MEMORY (256u * 1024u)  /* RAM, all of it */
#define PORT_KEYSTORE "flash"       /* its_store.c; "pkcs11" with a secure element or TF-M */

#define PORT_BAUD 115200u           /* of the link, as in `fleet-agent run --line DEVICE@BAUD`; 921600 moves 1 MiB in about 13 s */

#define PORT_FLASH_BASE 0x21000000u /* where the part of the flash that Dunlin may use is mapped */
#define PORT_FLASH_SIZE 0x00300000u
#define PORT_SECTOR 4096u           /* erased at a time */
#define PORT_WRITE 8u               /* programmed at a time, once between two erasures */

/* Offsets from PORT_FLASH_BASE, in this order: whole sectors, nothing of them in the linker script's ROM. */
#define PORT_KEYS 0x000000u         /* the crypto library's persistent keys: an even number of sectors, 8 KiB at least */
#define PORT_KEYS_SIZE 0x008000u
#define PORT_STORE 0x010000u        /* the core's journal: an even number of sectors, 32 KiB at least */
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
