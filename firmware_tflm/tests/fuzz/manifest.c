/* Manifests: an envelope's payload, or bare; and what a device takes out of one. */
#include <string.h>

#include "contract/cose.h"
#include "fuzz.h"

static void say(void *ctx, const char *line) {
    REQUIRE(strlen(line) < 96);
    (*(int *)ctx)++;
}

static void take_variant(const struct dl_manifest *manifest, uint8_t index) {
    struct dl_variant variant;
    struct dl_tensor tensor;
    struct dl_op op;
    const int error = dl_variant_at(manifest, index, &variant);
    REQUIRE(is_code(error));
    if (error) {
        REQUIRE(error == DUNLIN_E_COUNT || error == DUNLIN_E_SLOT_SIZE);
        return;
    }
    REQUIRE(variant.payloads > 0 && variant.model < variant.payloads && variant.golden < variant.payloads);
    REQUIRE(variant.payload[variant.golden].role == DL_GOLDEN);
    REQUIRE(is_inside(manifest->payload, (struct dunlin_span){variant.fit, 1}));
    REQUIRE(is_inside(manifest->payload, (struct dunlin_span){variant.io, 1}));
    REQUIRE(dl_slot_bytes(&variant, 4096) > 0);
    size_t state = 0;
    int ops = 0;
    while (dl_variant_next_op(&variant, &state, &op) == 1) {
        REQUIRE(is_inside(manifest->payload, op.name) && op.name.size > 0);
        ops++;
    }
    REQUIRE(ops <= 256);
    for (int output = 0; output < 2; output++) {
        size_t count = 0;
        while (dl_variant_tensor(&variant, output, count, &tensor) == 1) {
            REQUIRE(tensor.dimensions <= 8 && dl_dtype_size(tensor.dtype) > 0);
            count++;
        }
        REQUIRE(count > 0 && count <= 32);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct dl_runtime runtime = {"tflm", {1, 0, 0}, NULL, 0, true};
    static const struct dl_description device = {.hardware_class = "cortex-m4",
                                                 .arch = "armv7e-m",
                                                 .keystore = "flash",
                                                 .model_store = "plain-flash",
                                                 .memory = 262144,
                                                 .flash = 1048576,
                                                 .arena = 65536,
                                                 .runtimes = &runtime,
                                                 .runtime_count = 1};
    struct dunlin_span payload = {data, size};
    struct dl_manifest manifest;
    struct dl_variant variant;
    if (dl_cose_peek(payload, DL_SIGN, DUNLIN_MANIFEST_BYTES, &payload) != 0) {
        payload = (struct dunlin_span){data, size};
    }
    const int error = dl_manifest_read(payload, &manifest);
    REQUIRE(is_code(error));
    if (error) {
        return 0;
    }
    REQUIRE(manifest.variants > 0 && manifest.variants <= 8 && strlen(manifest.name) > 0);
    for (uint8_t i = 0; i < manifest.variants; i++) {
        take_variant(&manifest, i);
    }
    int reasons = 0;
    const int choice = dl_variant_choose(&manifest, &device, &variant, say, &reasons);
    REQUIRE(is_code(choice) && (choice != DUNLIN_E_NO_VARIANT || reasons >= manifest.variants));
    return 0;
}
