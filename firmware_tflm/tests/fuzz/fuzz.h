/* libFuzzer targets: hostile bytes into one parser, and what must hold whatever they are. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "contract/cbor.h"
#include "contract/verify.h"

#define REQUIRE(holds)                                                                                                 \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline bool is_inside(struct dunlin_span whole, struct dunlin_span part) {
    return part.size == 0 ||
           (part.data >= whole.data && part.size <= whole.size && part.data - whole.data <= (long)(whole.size - part.size));
}

/* Every code is 0 or one of the list. */
static inline bool is_code(int code) {
    return code >= 0 && code < DUNLIN_E_END_;
}

#endif
