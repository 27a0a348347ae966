/* What the crypto library's random numbers come from: every board defines it, on its hardware generator. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill `out` with unpredictable bytes: conditioned output, fit for keys. 0, or -1 if the generator gives nothing. */
int board_random(uint8_t *out, size_t size);

#endif
