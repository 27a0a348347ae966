/* Chunks and their tree: two bytes of index and last flag, then the chunk; then all of it as leaves. */
#include <string.h>

#include "fuzz.h"

/* RFC 9162, section 2.1.1, as it is written there. */
static void root_of(const uint8_t *leaves, size_t count, uint8_t root[DUNLIN_DIGEST]) {
    uint8_t both[1 + 2 * DUNLIN_DIGEST] = {1};
    size_t left = 1;
    if (count == 1) {
        memcpy(root, leaves, DUNLIN_DIGEST);
        return;
    }
    while (2 * left < count) {
        left *= 2;
    }
    root_of(leaves, left, both + 1);
    root_of(leaves + left * DUNLIN_DIGEST, count - left, both + 1 + DUNLIN_DIGEST);
    REQUIRE(dl_sha256((struct dunlin_span){both, sizeof both}, root) == 0);
}

static void check_tree(struct dunlin_span in) {
    static struct dl_tree tree;
    uint8_t root[DUNLIN_DIGEST], wanted[DUNLIN_DIGEST];
    const size_t count = in.size / DUNLIN_DIGEST;
    dl_tree_start(&tree);
    if (count == 0) {
        REQUIRE(dl_tree_root(&tree, root) != 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        REQUIRE(dl_tree_leaf(&tree, in.data + i * DUNLIN_DIGEST) == 0);
    }
    REQUIRE(dl_tree_root(&tree, root) == 0);
    root_of(in.data, count, wanted);
    REQUIRE(memcmp(root, wanted, DUNLIN_DIGEST) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t cek[DUNLIN_CEK], id[DUNLIN_ID];
    static uint8_t plain[8192];
    uint8_t key[32], leaf[DUNLIN_DIGEST];
    if (size < 2 || size > 2 + 4096 + DUNLIN_TAG) {
        return 0;
    }
    if (psa_crypto_init() != PSA_SUCCESS) {
        abort();
    }
    const struct dunlin_span chunk = {data + 2, size - 2};
    REQUIRE(dl_payload_key(cek, id, 24, 12, key) == 0);
    REQUIRE(dl_leaf(chunk, leaf) == 0);
    /* A fuzzer cannot make a tag: what matches its leaf still opens under no key but the sender's. */
    REQUIRE(dl_chunk_open(chunk, leaf, key, data[0], data[1] & 1, plain) == DUNLIN_E_CHUNK_OPEN);
    leaf[data[0] % DUNLIN_DIGEST] ^= (uint8_t)(1 | data[1]);
    REQUIRE(dl_chunk_open(chunk, leaf, key, data[0], data[1] & 1, plain) == DUNLIN_E_LEAF);
    check_tree(chunk);
    return 0;
}
