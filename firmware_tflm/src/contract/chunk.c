/* STREAM chunks (Hoang, Reyhanitabar, Rogaway, Vizar 2015, as age uses it) under a Merkle tree (RFC 9162, 2.1). */
#include <string.h>

#include "contract/verify.h"

#define INDEX_BYTES 11
#define LEAVES (1u << 18)

int dl_payload_key(const uint8_t cek[DUNLIN_CEK], const uint8_t id[DUNLIN_ID], uint8_t aead, uint8_t chunk_log2,
                   uint8_t key[32]) {
    uint8_t info[] = "dnb/v1 payload??";
    const size_t size = sizeof info - 1;
    if (aead != 24) { /* ChaCha20-Poly1305 in the COSE registry */
        return DUNLIN_E_VALUE;
    }
    info[size - 2] = aead;
    info[size - 1] = chunk_log2;
    return dl_hkdf((struct dunlin_span){cek, DUNLIN_CEK}, (struct dunlin_span){id, DUNLIN_ID},
                   (struct dunlin_span){info, size}, key, 32);
}

int dl_chunk_open(struct dunlin_span chunk, const uint8_t leaf[DUNLIN_DIGEST], const uint8_t key[32], uint32_t index,
                  bool last, uint8_t *plain) {
    uint8_t digest[DUNLIN_DIGEST], nonce[INDEX_BYTES + 1] = {0};
    const int error = dl_leaf(chunk, digest);
    if (error) {
        return error;
    }
    if (!dl_equal(digest, leaf, DUNLIN_DIGEST)) {
        return DUNLIN_E_LEAF;
    }
    for (int i = 0; i < 4; i++) {
        nonce[INDEX_BYTES - 1 - i] = (uint8_t)(index >> 8 * i);
    }
    nonce[INDEX_BYTES] = last;
    return dl_aead_open(key, nonce, chunk, plain);
}

static int join(const uint8_t left[DUNLIN_DIGEST], uint8_t right_and_node[DUNLIN_DIGEST]) {
    struct dl_hash hash;
    dl_hash_start(&hash);
    dl_hash_add(&hash, "\x01", 1);
    dl_hash_add(&hash, left, DUNLIN_DIGEST);
    dl_hash_add(&hash, right_and_node, DUNLIN_DIGEST);
    return dl_hash_end(&hash, right_and_node);
}

void dl_tree_start(struct dl_tree *tree) {
    tree->count = 0;
}

/* node[k] is the root of 2^k leaves wherever bit k of the count is set: adding a leaf is adding one in binary. */
int dl_tree_leaf(struct dl_tree *tree, const uint8_t leaf[DUNLIN_DIGEST]) {
    uint8_t carry[DUNLIN_DIGEST];
    int error = 0, level = 0;
    if (tree->count == LEAVES) {
        return DUNLIN_E_COUNT;
    }
    memcpy(carry, leaf, DUNLIN_DIGEST);
    for (; tree->count >> level & 1 && !error; level++) {
        error = join(tree->node[level], carry);
    }
    memcpy(tree->node[level], carry, DUNLIN_DIGEST);
    tree->count++;
    return error;
}

int dl_tree_root(struct dl_tree *tree, uint8_t root[DUNLIN_DIGEST]) {
    bool started = false;
    int error = tree->count ? 0 : DUNLIN_E_LENGTHS;
    for (int level = 0; tree->count >> level && !error; level++) {
        if (tree->count >> level & 1) {
            if (started) {
                error = join(tree->node[level], root);
            } else {
                memcpy(root, tree->node[level], DUNLIN_DIGEST);
                started = true;
            }
        }
    }
    return error;
}
