/* CRC-32 of IEEE 802.3: finds damage, proves nothing. */
#ifndef DL_CRC32_H
#define DL_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Of `data` after what `crc` covers; 0 to begin with. */
uint32_t dl_crc32(uint32_t crc, const void *data, size_t size);

#endif
