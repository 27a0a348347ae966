/* The canonical check, and every reader of a bare record behind it. */
#include <string.h>

#include "contract/cose.h"
#include "fuzz.h"

static void read_records(struct dunlin_span in) {
    struct dl_settings settings;
    struct dl_wipe_order order;
    struct dl_enrol_reply reply;
    struct dl_claim claim;
    struct dl_desired desired;
    struct dl_root root;
    uint8_t digest[DUNLIN_DIGEST] = {0};
    REQUIRE(is_code(dl_settings_open(in, &settings)));
    REQUIRE(is_code(dl_desired_read(in, &desired)));
    REQUIRE(is_code(dl_claim_open(in, &claim)));
    if (dl_enrol_reply_open(in, &reply) == 0) {
        REQUIRE(is_inside(in, reply.root) && is_inside(in, reply.reason));
    }
    if (dl_wipe_read(in, &order) == 0) {
        REQUIRE(is_inside(in, order.models) && is_inside(in, order.device));
        dl_wipe_covers(&order, "digits");
    }
    if (dl_root_open_known(in, &root) == 0) {
        REQUIRE(is_inside(in, root.payload));
        dl_root_threshold(&root, DL_ROLE_OPS);
    }
    REQUIRE(dl_root_first(in, digest, &root) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dunlin_span in = {data, size}, left = in;
    const int error = dl_cbor_check(in, 4096);
    REQUIRE(is_code(error));
    if (error == 0) {
        const struct dunlin_span item = dl_item(&left);
        REQUIRE(left.size == 0 && item.size == size);
        if (size > 1) { /* no canonical item is the beginning of another */
            REQUIRE(dl_cbor_check((struct dunlin_span){data, size - 1}, 4096) != 0);
        }
    } else {
        REQUIRE(dl_record_check(in, 4096) != 0);
    }
    read_records(in);
    return 0;
}
