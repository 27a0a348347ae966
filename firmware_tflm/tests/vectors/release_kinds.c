/* Vectors of releases: manifests and what a device acts on in them, index pages, and what fits where. */
#include <string.h>

#include "contract/manifest.h"
#include "fields.h"

static void give_payload(const struct dl_payload *payload) {
    static const char *const roles[] = {"model", "labels", "golden", "baseline", "report", "provenance"};
    give("id", (struct dunlin_span){payload->id, DUNLIN_ID});
    give_text("role", roles[payload->role]);
    give_number("installed", payload->installed);
    give_number("chunks", payload->chunks);
    give_number("leaf_from", payload->leaf_from);
    give("sha256", (struct dunlin_span){payload->sha256, DUNLIN_DIGEST});
    give("merkle", (struct dunlin_span){payload->merkle, DUNLIN_DIGEST});
}

static int give_tensors(const struct dl_variant *variant, bool output) {
    struct dl_tensor tensor;
    for (size_t i = 0;; i++) {
        const int found = dl_variant_tensor(variant, output, i, &tensor);
        if (found <= 0) {
            return found;
        }
        give("tensor", tensor.name);
        give_number("dtype", tensor.dtype);
        for (int k = 0; k < tensor.dimensions; k++) {
            give_number("dimension", (uint32_t)tensor.shape[k]);
        }
    }
}

/* What a device that takes this variant acts on. */
static int give_variant(const struct dl_manifest *manifest, uint8_t index) {
    struct dl_variant variant;
    struct dl_op op;
    int error = dl_variant_at(manifest, index, &variant);
    if (error == DUNLIN_E_COUNT || error == DUNLIN_E_SLOT_SIZE) {
        return 0; /* more than this device handles */
    }
    if (error) {
        return error;
    }
    give_text("kind", variant.kind);
    give_number("arena", variant.arena);
    give_number("payloads", variant.payloads);
    give_number("model", variant.model);
    give_number("golden", variant.golden);
    give("tolerance", (struct dunlin_span){(const uint8_t *)&variant.tolerance, sizeof variant.tolerance});
    give_number("top1", variant.top1);
    give_number("p95_us", variant.p95_us);
    give_number("slot_bytes", dl_slot_bytes(&variant, 4096));
    for (int i = 0; i < variant.payloads; i++) {
        give_payload(&variant.payload[i]);
    }
    for (size_t state = 0; (error = dl_variant_next_op(&variant, &state, &op)) == 1;) {
        give("op", op.name);
        give_number("op_version", op.version);
    }
    error = error ? error : give_tensors(&variant, false);
    return error ? error : give_tensors(&variant, true);
}

static int give_manifest(const struct dl_manifest *manifest) {
    int error = 0;
    give("release", (struct dunlin_span){manifest->digest, DUNLIN_DIGEST});
    give_text("name", manifest->name);
    give("version", manifest->version);
    give_number("counter", manifest->counter);
    for (uint8_t i = 0; i < manifest->variants && !error; i++) {
        error = give_variant(manifest, i);
    }
    return error;
}

static int run_manifest(const struct fields *in) {
    struct dl_root root;
    struct dl_manifest manifest, again;
    int error = root_in(in, "root", &root);
    if (!error) {
        error = dl_manifest_open(field(in, "bytes"), &root, &manifest);
    }
    if (!error) {
        error = dl_manifest_open_known(field(in, "bytes"), manifest.digest, &again);
    }
    return error ? error : give_manifest(&again);
}

/* A manifest that is known by its digest. */
static int run_known(const struct fields *in) {
    struct dl_manifest manifest;
    return dl_manifest_open_known(field(in, "bytes"), field(in, "release").data, &manifest);
}

static int run_index(const struct fields *in) {
    static struct dl_tree tree;
    struct dl_manifest manifest;
    struct dunlin_span index = field(in, "index");
    uint8_t root[DUNLIN_DIGEST];
    uint64_t leaves = 0;
    int error = dl_manifest_read(field(in, "manifest"), &manifest);
    for (uint32_t i = 0; !error && dl_payload_at(&manifest, i); i++) {
        leaves += dl_number(dl_payload_at(&manifest, i), DL_P_CHUNKS);
    }
    if (!error && index.size != 32 * leaves) {
        error = DUNLIN_E_LENGTHS;
    }
    for (uint32_t i = 0; !error && index.size > 0; i++) {
        const uint8_t *const payload = dl_payload_at(&manifest, i);
        dl_tree_start(&tree);
        for (uint64_t k = dl_number(payload, DL_P_CHUNKS); k > 0 && !error; k--, index.data += 32, index.size -= 32) {
            error = dl_tree_leaf(&tree, index.data);
        }
        if (!error) {
            error = dl_tree_root(&tree, root);
        }
        if (!error && !dl_equal(root, dl_bytes(payload, DL_P_MERKLE), DUNLIN_DIGEST)) {
            error = DUNLIN_E_MERKLE;
        }
    }
    return error;
}

static int run_release(const struct fields *in) {
    struct dl_desired desired;
    struct dl_manifest manifest = {.counter = (uint32_t)number(in, "counter")};
    int error = dl_desired_read(field(in, "desired"), &desired);
    if (error) {
        return error;
    }
    dl_copy_text(desired.model, sizeof desired.model, field(in, "name_desired"));
    dl_copy_text(manifest.name, sizeof manifest.name, field(in, "name_found"));
    memcpy(manifest.digest, field(in, "digest").data, DUNLIN_DIGEST);
    return dl_release_check(&desired, &manifest);
}

static void count_reason(void *ctx, const char *line) {
    (void)ctx;
    give_text("reasons", line);
}

static int run_fit(const struct fields *in) {
    struct dl_description device;
    int error = read_description(field(in, "device"), &device);
    if (!error) {
        error = dl_schema_check(field(in, "needs"), 65536, DL_RECORD_FIT);
    }
    if (error) {
        return error;
    }
    const int reasons = dl_fit(field(in, "needs").data, &device, count_reason, NULL);
    give_text("verdict", reasons ? "does-not-fit" : "fits");
    return 0;
}

/* Which variant of a manifest a device takes. */
static int run_choose(const struct fields *in) {
    struct dl_description device;
    struct dl_manifest manifest;
    struct dl_variant variant;
    int error = read_description(field(in, "device"), &device);
    error = error ? error : dl_manifest_read(field(in, "bytes"), &manifest);
    error = error ? error : dl_variant_choose(&manifest, &device, &variant, NULL, NULL);
    if (!error) {
        give_number("index", variant.index);
    }
    return error;
}

static int run_slot(const struct fields *in) {
    struct dl_variant variant;
    memset(&variant, 0, sizeof variant);
    for (; field_at(in, "lengths", variant.payloads).data; variant.payloads++) {
        if (variant.payloads == DUNLIN_PAYLOADS) {
            return DUNLIN_E_COUNT;
        }
        const struct dunlin_span length = field_at(in, "lengths", variant.payloads);
        for (size_t i = 0; i < length.size; i++) {
            variant.payload[variant.payloads].installed =
                10 * variant.payload[variant.payloads].installed + (uint32_t)(length.data[i] - '0');
        }
    }
    variant.payload[0].chunks = (uint32_t)number(in, "chunks"); /* only their sum counts */
    give_number("slot_bytes", dl_slot_bytes(&variant, 4096));
    return 0;
}

int run_releases(const char *kind, const struct fields *in) {
    static const struct kind kinds[] = {
        {"manifest", run_manifest},
        {"known", run_known},
        {"index", run_index},
        {"check-release", run_release},
        {"fit", run_fit},
        {"choose", run_choose},
        {"slot", run_slot},
    };
    return run_kind(kinds, sizeof kinds / sizeof kinds[0], kind, in);
}
