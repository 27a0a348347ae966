/* Directives: an envelope's payload, or bare. The signature is left out: no fuzzer makes one. */
#include <string.h>

#include "contract/cose.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t zeros[DUNLIN_DIGEST];
    const struct dl_memory memory = {.device = "mcu-7", .epoch = 1, .seq = 7, .digest = zeros, .nonce = zeros};
    struct dunlin_span payload = {data, size};
    struct dl_directive directive;
    struct dl_wipe_order order;
    const uint8_t *root = dl_directive_peek_root(payload);
    REQUIRE(!root || is_inside(payload, (struct dunlin_span){root, DUNLIN_DIGEST}));
    if (dl_cose_peek(payload, DL_SIGN1, DUNLIN_DIRECTIVE_BYTES, &payload) != 0) {
        payload = (struct dunlin_span){data, size};
    }
    const int error = dl_directive_read(payload, &directive);
    REQUIRE(is_code(error));
    if (error) {
        return 0;
    }
    REQUIRE(directive.models <= 16 && directive.issued < directive.expires && directive.seq > 0);
    REQUIRE(is_inside(payload, directive.device) && is_inside(payload, directive.models_map));
    REQUIRE(is_inside(payload, directive.wipe));
    REQUIRE(strlen(directive.desired.model) <= DUNLIN_NAME && strlen(directive.refused) <= DUNLIN_NAME);
    REQUIRE((directive.models > 0) == (directive.desired.model[0] != 0));
    REQUIRE((directive.models > 1) == (directive.refused[0] != 0));
    const int verdict = dl_directive_decide(&memory, &directive, 60);
    REQUIRE(verdict == DL_FOLLOWED || is_code(verdict));
    if (directive.wipe.size > 0 && dl_wipe_read(directive.wipe, &order) == 0) {
        REQUIRE(is_code(dl_wipe_check(&order, "mcu-7", &directive)));
    }
    return 0;
}
