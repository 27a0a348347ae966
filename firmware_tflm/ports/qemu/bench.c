/* Instructions of an update, under QEMU's `-icount shift=0` (an instruction is a nanosecond of the board's clock).
 *
 * The core's own way for 1 MiB in 4 KiB chunks: erase, Merkle root, leaf, decryption, flash, mark, SHA-256 over what the
 * flash holds. Against it what no way can do without: ChaCha20-Poly1305 and two passes of SHA-256 over the same bytes,
 * straight from the crypto library. Operations with public keys are measured apart: an update has a fixed few. */
#include <stdio.h>
#include <string.h>

#include <mbedtls/chachapoly.h>
#include <mbedtls/sha256.h>

#include "board.h"
#include "contract/verify.h"
#include "device/flash.h"
#include "device/slot.h"
#include "random.h"
#include "semihosting.h"

enum { CHUNKS = 256 };
#define PAYLOAD (CHUNKS * DUNLIN_CHUNK)

#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

static const uint8_t key[32] = {1, 2, 3};
static uint8_t plain[DUNLIN_CHUNK], cipher[DUNLIN_CHUNK + DUNLIN_TAG], leaves[CHUNKS][DUNLIN_DIGEST];
static uint64_t spent, started;

int board_random(uint8_t *out, size_t size) { return host_random(out, size); }

static void check(bool good, const char *what) {
    if (good)
        return;
    host_log("bench: failed: ");
    host_log(what);
    host_log("\n");
    host_exit(1);
}

static uint64_t instructions(void) {
    uint64_t ms;
    uint32_t left;
    do {
        ms = clock_ms(NULL);
        left = SYST_CVR;
    } while (ms != clock_ms(NULL));
    uint64_t cycles = ms * (SYST_RVR + 1) + (SYST_RVR - left);
    return cycles * 1000000000u / BOARD_HZ;
}
static void start(void) { started = instructions(); }
static void stop(void) { spent += instructions() - started; }
static uint64_t lap(void) {
    uint64_t all = spent;
    spent = 0;
    return all;
}

/* Flash that costs what a copy costs: what a board's flash takes to program is not the core's. */
static int erase(void *ctx, uint32_t offset, uint32_t length) {
    (void)ctx;
    memset((uint8_t *)BOARD_NVM + offset, 0xff, length);
    return 0;
}
static int program(void *ctx, uint32_t offset, const uint8_t *data, uint32_t length) {
    (void)ctx;
    memcpy((uint8_t *)BOARD_NVM + offset, data, length);
    return 0;
}
static const struct dunlin_flash flash = {.base = (const uint8_t *)BOARD_NVM, .size = BOARD_NVM_SIZE, .sector = 4096,
                                          .write = BOARD_WRITE, .erase = erase, .program = program};

static void nonce_of(uint32_t index, uint8_t nonce[12]) {
    memset(nonce, 0, 12);
    nonce[9] = (uint8_t)(index >> 8);
    nonce[10] = (uint8_t)index;
    nonce[11] = index + 1 == CHUNKS;
}

/* Chunk `index` into `cipher`: not measured. */
static void seal(uint32_t index) {
    static mbedtls_chachapoly_context context;
    uint8_t nonce[12];
    memset(plain, (int)(index & 0xff), sizeof plain);
    nonce_of(index, nonce);
    mbedtls_chachapoly_init(&context);
    check(mbedtls_chachapoly_setkey(&context, key) == 0 &&
              mbedtls_chachapoly_encrypt_and_tag(&context, DUNLIN_CHUNK, nonce, NULL, 0, plain, cipher,
                                                 cipher + DUNLIN_CHUNK) == 0,
          "seal");
}

static uint64_t measure_core(void) {
    struct dl_variant variant = {.payloads = 1, .payload = {{.installed = PAYLOAD, .chunks = CHUNKS}}};
    struct dl_slot slot;
    static struct dl_tree tree;
    struct dl_hash hash;
    uint8_t root[DUNLIN_DIGEST], release[DUNLIN_DIGEST] = {1};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        seal(i);
        check(dl_leaf((struct dunlin_span){cipher, sizeof cipher}, leaves[i]) == 0, "leaf");
    }
    start();
    check(dl_slot_layout(&slot, &variant, 0, BOARD_NVM_SIZE, &flash) == 0, "layout");
    check(dl_flash_erase(&flash, NULL, slot.base, slot.end) == 0, "erase");
    dl_tree_start(&tree);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        check(dl_flash_program(&flash, slot.base + slot.leaves + i * DUNLIN_DIGEST, leaves[i], DUNLIN_DIGEST) == 0, "leaf");
        check(dl_tree_leaf(&tree, dl_slot_leaf(&flash, &slot, i)) == 0, "tree");
    }
    check(dl_tree_root(&tree, root) == 0 && dl_slot_write(&flash, &slot, release, 0) == 0, "root");
    stop();
    for (uint32_t i = 0; i < CHUNKS; i++) {
        seal(i);
        start();
        check(dl_chunk_open((struct dunlin_span){cipher, sizeof cipher}, dl_slot_leaf(&flash, &slot, i), key, i,
                            i + 1 == CHUNKS, plain) == 0, "chunk");
        check(dl_flash_program(&flash, slot.base + slot.payload[0] + i * DUNLIN_CHUNK, plain, DUNLIN_CHUNK) == 0 &&
                  dl_slot_mark(&flash, &slot, i) == 0, "program");
        stop();
    }
    start();
    check(dl_slot_missing(&flash, &slot, 0) == CHUNKS, "marks");
    dl_hash_start(&hash);
    for (uint32_t i = 0; i < CHUNKS; i++)
        dl_hash_add(&hash, flash.base + slot.base + slot.payload[0] + i * DUNLIN_CHUNK, DUNLIN_CHUNK);
    check(dl_hash_end(&hash, root) == 0, "hash");
    stop();
    return lap();
}

static uint64_t measure_bare(void) {
    static mbedtls_chachapoly_context context;
    static mbedtls_sha256_context passes[2];
    uint8_t nonce[12], digest[32];
    for (int pass = 0; pass < 2; pass++) {
        mbedtls_sha256_init(&passes[pass]);
        check(mbedtls_sha256_starts_ret(&passes[pass], 0) == 0, "sha256");
    }
    for (uint32_t i = 0; i < CHUNKS; i++) {
        seal(i);
        nonce_of(i, nonce);
        start();
        check(mbedtls_sha256_update_ret(&passes[0], cipher, DUNLIN_CHUNK) == 0, "sha256");
        mbedtls_chachapoly_init(&context);
        check(mbedtls_chachapoly_setkey(&context, key) == 0 &&
                  mbedtls_chachapoly_auth_decrypt(&context, DUNLIN_CHUNK, nonce, NULL, 0, cipher + DUNLIN_CHUNK, cipher,
                                                  plain) == 0,
              "decrypt");
        check(mbedtls_sha256_update_ret(&passes[1], plain, DUNLIN_CHUNK) == 0, "sha256");
        stop();
    }
    start();
    check(mbedtls_sha256_finish_ret(&passes[0], digest) == 0 && mbedtls_sha256_finish_ret(&passes[1], digest) == 0, "sha256");
    stop();
    return lap();
}

static void say(const char *what, uint64_t count) {
    char line[64];
    (void)snprintf(line, sizeof line, "bench: %s=%lu\n", what, (unsigned long)count);
    host_log(line);
}

static void measure_public_key(void) {
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t identity, kem;
    uint8_t spki[DUNLIN_SPKI], hash[DUNLIN_DIGEST] = {1}, signature[DUNLIN_SIGNATURE], point[DUNLIN_POINT], secret[32];
    size_t size;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&attributes, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    check(psa_generate_key(&attributes, &identity) == PSA_SUCCESS && dl_public_spki(identity, spki) == 0, "key");
    start();
    check(dl_sign_hash(identity, hash, signature) == 0, "sign");
    stop();
    say("sign", lap());
    start();
    check(dl_verify_hash(spki, hash, signature) == 0, "verify");
    stop();
    say("verify", lap());
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
    check(psa_generate_key(&attributes, &kem) == PSA_SUCCESS &&
              psa_export_public_key(kem, point, sizeof point, &size) == PSA_SUCCESS, "key");
    start();
    check(psa_raw_key_agreement(PSA_ALG_ECDH, kem, point, size, secret, sizeof secret, &size) == PSA_SUCCESS, "agree");
    stop();
    say("agree", lap());
}

int main(void) {
    clock_open();
    check(psa_crypto_init() == PSA_SUCCESS, "psa_crypto_init");
    uint64_t core = measure_core(), bare = measure_bare();
    say("core", core);
    say("bare", bare);
    say("permille", core * 1000 / bare);
    measure_public_key();
    return 0;
}
