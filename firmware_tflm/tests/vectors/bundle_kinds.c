/* Vectors of the bundle file and of what payloads install. A microcontroller reads neither: this is the same code that
 * verifies manifests, leaves and chunks there, with the file format around it. */
#include <string.h>
#include <zlib.h>

#include "contract/manifest.h"
#include "fields.h"

#define HEADER 28

static uint64_t big_endian(const uint8_t *data, int size) {
    uint64_t number = 0;
    while (size-- > 0) {
        number = number << 8 | *data++;
    }
    return number;
}

static struct dunlin_span take(struct dunlin_span *in, uint64_t size) {
    const struct dunlin_span piece = {in->data, (size_t)size};
    in->data += size, in->size -= (size_t)size;
    return piece;
}

static int check_payload(const uint8_t *payload, struct dunlin_span *leaves, struct dunlin_span *chunks) {
    static struct dl_tree tree;
    uint8_t root[DUNLIN_DIGEST], leaf[DUNLIN_DIGEST];
    struct dunlin_span own = take(leaves, 32 * dl_number(payload, DL_P_CHUNKS));
    const uint64_t full = UINT64_C(1) << dl_number(payload, DL_P_CHUNK_LOG2);
    int error = 0;
    if (!chunks) {
        dl_tree_start(&tree);
        while (own.size > 0 && !error) {
            error = dl_tree_leaf(&tree, take(&own, 32).data);
        }
        if (!error) {
            error = dl_tree_root(&tree, root);
        }
        return error ? error : memcmp(root, dl_bytes(payload, DL_P_MERKLE), DUNLIN_DIGEST) == 0 ? 0 : DUNLIN_E_MERKLE;
    }
    for (uint64_t done = 0; own.size > 0 && !error; done += full) {
        const uint64_t left = dl_number(payload, DL_P_PLAINTEXT) - done;
        error = dl_leaf(take(chunks, (left < full ? left : full) + DUNLIN_TAG), leaf);
        if (!error && memcmp(leaf, take(&own, 32).data, DUNLIN_DIGEST) != 0) {
            error = DUNLIN_E_LEAF;
        }
    }
    return error;
}

static int run_file(const struct fields *in) {
    static const uint8_t magic[8] = {0x89, 'D', 'N', 'B', '\r', '\n', 0x1a, '\n'};
    struct dunlin_span file = field(in, "bytes");
    struct dl_root root;
    struct dl_manifest manifest;
    if (file.size < sizeof magic || memcmp(file.data, magic, sizeof magic) != 0) {
        return DUNLIN_E_MAGIC;
    }
    if (file.size < HEADER || big_endian(file.data + 8, 4) != 0x10000) {
        return DUNLIN_E_HEADER;
    }
    const uint8_t *header = take(&file, HEADER).data;
    const uint64_t lm = big_endian(header + 12, 4), li = big_endian(header + 16, 4), lp = big_endian(header + 20, 8);
    if (lm > DUNLIN_MANIFEST_BYTES) {
        return DUNLIN_E_SIZE;
    }
    if (file.size < lm) {
        return DUNLIN_E_LENGTHS;
    }
    int error = dl_root_open_known(field(in, "root"), &root);
    if (!error) {
        error = dl_manifest_open(take(&file, lm), &root, &manifest);
    }
    uint64_t leaves = 0, chunks = 0;
    uint32_t payloads = 0;
    for (; !error && dl_item_at(manifest.payload_list, payloads); payloads++) {
        leaves += dl_number(dl_payload_at(&manifest, payloads), DL_P_CHUNKS);
        chunks += dl_number(dl_payload_at(&manifest, payloads), DL_P_CIPHERTEXT);
    }
    if (error) {
        return error;
    }
    if (li != 32 * leaves || lp != chunks || file.size < li + lp) {
        return DUNLIN_E_LENGTHS;
    }
    if (file.size > li + lp) {
        return DUNLIN_E_TRAILING;
    }
    const struct dunlin_span index = take(&file, li);
    for (int pass = 0; pass < 2; pass++) { /* the whole index before the first chunk */
        struct dunlin_span left = index;
        for (uint32_t i = 0; i < payloads && !error; i++) {
            error = check_payload(dl_payload_at(&manifest, i), &left, pass ? &file : NULL);
        }
    }
    return error;
}

/* ---- what a payload installs --------------------------------------------------------------------------------------------- */

static size_t joined(const struct fields *in, uint8_t *out) {
    size_t size = 0;
    for (size_t i = 0; field_at(in, "plaintext", i).data; i++) {
        const struct dunlin_span piece = field_at(in, "plaintext", i);
        memcpy(out + size, piece.data, piece.size);
        size += piece.size;
    }
    return size;
}

static int run_install(const struct fields *in) {
    static uint8_t plain[1 << 20], made[1 << 20];
    uint8_t digest[DUNLIN_DIGEST];
    const uint8_t *const record = field(in, "payload").data;
    int error = dl_schema_check(field(in, "payload"), 65536, DL_RECORD_PAYLOAD);
    if (error || dl_number(record, DL_P_INSTALLED) >= sizeof made) {
        return error ? error : DUNLIN_E_ARGUMENT;
    }
    struct dunlin_span result = {plain, joined(in, plain)};
    if (dl_number(record, DL_P_COMPRESSION) == 1) {
        z_stream stream = {.next_in = plain,
                           .avail_in = (uInt)result.size,
                           .next_out = made,
                           .avail_out = (uInt)dl_number(record, DL_P_INSTALLED) + 1};
        inflateInit(&stream);
        const int status = inflate(&stream, Z_FINISH);
        const uInt after = stream.avail_in;
        inflateEnd(&stream);
        if (status != Z_STREAM_END || after > 0) {
            return DUNLIN_E_INSTALLED;
        }
        result = (struct dunlin_span){made, (size_t)stream.total_out};
    }
    error = dl_sha256(result, digest);
    if (!error && (result.size != dl_number(record, DL_P_INSTALLED) ||
                   memcmp(digest, dl_bytes(record, DL_P_SHA256), DUNLIN_DIGEST) != 0)) {
        error = DUNLIN_E_INSTALLED;
    }
    give("installed", result);
    return error;
}

int run_bundle(const char *kind, const struct fields *in) {
    return strcmp(kind, "bundle") == 0 ? run_file(in) : strcmp(kind, "install") == 0 ? run_install(in) : UNKNOWN_KIND;
}
