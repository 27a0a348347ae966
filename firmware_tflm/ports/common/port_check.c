#include "port_check.h"

#include <psa/crypto.h>
#include <stdbool.h>
#include <string.h>

static bool is_blank(const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        if (bytes[i] != 0xff)
            return false;
    return true;
}

static const char *check_flash(const struct dunlin_flash *flash, uint32_t spare) {
    uint8_t unit[64];
    if (flash->write == 0 || flash->sector == 0 || (flash->write & (flash->write - 1)) != 0 ||
        (flash->sector & (flash->sector - 1)) != 0 || flash->write > 32 || spare % flash->sector != 0 ||
        spare > flash->size || flash->size - spare < 2 * flash->sector)
        return "sector and write must be powers of two, and the spare region two whole sectors";
    if (flash->erase(flash->ctx, spare, 2 * flash->sector) != 0)
        return "erase fails";
    if (!is_blank(flash->base + spare, 2 * flash->sector))
        return "an erased sector does not read 0xff: is a cache or the wrong base address in between?";
    for (uint32_t at = 0; at < flash->sector; at += flash->write) {
        for (uint32_t i = 0; i < flash->write; i++)
            unit[i] = (uint8_t)(at / flash->write + i + 1);
        if (flash->program(flash->ctx, spare + at, unit, flash->write) != 0)
            return "program fails for a single write unit";
        if (memcmp(flash->base + spare + at, unit, flash->write) != 0)
            return "a write unit does not read back: does program() return before the bytes are there?";
    }
    if (!is_blank(flash->base + spare + flash->sector, flash->sector))
        return "programming one sector changes the next";
    if (flash->erase(flash->ctx, spare, flash->sector) != 0 || !is_blank(flash->base + spare, flash->sector))
        return "a programmed sector does not erase";
    return NULL;
}

static const char *check_clock(const struct dunlin_board *board) {
    enum { PATIENCE = 200000000 }; /* polls: some seconds on any Cortex-M */
    uint64_t first = board->uptime_ms(board->ctx), now = first;
    for (uint32_t polls = 0; now == first && polls < PATIENCE; polls++) {
        now = board->uptime_ms(board->ctx);
        board->kick(board->ctx);
    }
    if (now == first)
        return "uptime_ms stands still";
    return now < first ? "uptime_ms runs backwards" : NULL;
}

static const char *check_random(void) {
    uint8_t a[32] = {0}, b[32] = {0};
    if (psa_generate_random(a, sizeof a) != PSA_SUCCESS || psa_generate_random(b, sizeof b) != PSA_SUCCESS)
        return "psa_generate_random fails: board_random() gives nothing";
    return memcmp(a, b, sizeof a) == 0 ? "two draws are the same" : NULL;
}

/* NULL, or what is wrong; `found` says whether the key was there already. */
static const char *check_keys(uint32_t key_id, bool *found) {
    uint8_t public_key[65], hash[32] = {1}, signature[64], secret[32];
    size_t size;
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key = 0;

    *found = psa_get_key_attributes(key_id, &attributes) == PSA_SUCCESS;
    psa_reset_key_attributes(&attributes);
    if (!*found) {
        psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
        psa_set_key_bits(&attributes, 256);
        psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH | PSA_KEY_USAGE_VERIFY_HASH);
        psa_set_key_algorithm(&attributes, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
        psa_set_key_id(&attributes, key_id);
        if (psa_generate_key(&attributes, &key) != PSA_SUCCESS)
            return "psa_generate_key fails for a persistent P-256 key";
    }
    if (psa_sign_hash(key_id, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256), hash, sizeof hash, signature,
                      sizeof signature, &size) != PSA_SUCCESS)
        return "psa_sign_hash fails: is the crypto library's heap large enough?";
    if (psa_verify_hash(key_id, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256), hash, sizeof hash, signature, size) !=
        PSA_SUCCESS)
        return "psa_verify_hash refuses the key's own signature";

    attributes = psa_key_attributes_init();
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
    if (psa_generate_key(&attributes, &key) != PSA_SUCCESS ||
        psa_export_public_key(key, public_key, sizeof public_key, &size) != PSA_SUCCESS ||
        psa_raw_key_agreement(PSA_ALG_ECDH, key, public_key, size, secret, sizeof secret, &size) != PSA_SUCCESS ||
        psa_destroy_key(key) != PSA_SUCCESS)
        return "ECDH on P-256 fails";
    return NULL;
}

static int say(const struct dunlin_board *board, const char *good, const char *bad) {
    board->log(board->ctx, bad == NULL ? good : bad);
    return bad != NULL;
}

int port_check(const struct dunlin_flash *flash, const struct dunlin_board *board, uint32_t spare, uint32_t key_id) {
    bool found = false;
    int failed = say(board, "port check: flash works", check_flash(flash, spare));
    failed += say(board, "port check: clock works", check_clock(board));
    failed += say(board, "port check: random generator works", check_random());
    const char *bad = check_keys(key_id, &found);
    failed += say(board, found ? "port check: keys work, this one has survived a reset" : "port check: keys work, one was made", bad);
    return failed;
}
