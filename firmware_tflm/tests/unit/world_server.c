#define _GNU_SOURCE
/* The world's server, as far as a device without one would notice: its acknowledgements. */
#include "world_parts.h"

#include <psa/crypto.h>
#include <string.h>

/* COSE_Sign1 of {1: device, 2: stream, 3: n} by the director: SPEC, section 7. */
void world_acknowledge(const uint8_t *event, size_t size)
{
    static uint8_t ack[2][128];
    static unsigned turn;
    static const uint8_t role[] = {0x4a, 'd', 'n', 'b', '/', 'v', '1', '/', 'a', 'c', 'k'};
    static const uint8_t context[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'};
    static const uint8_t front[] = {0xd2, 0x84, 0x4d, 0xa2, 0x01, 0x28, 0x04, 0x48};
    uint8_t payload[40] = {0xa4, 0x00, 0x01, 0x01, 0x65, 'm', 'c', 'u', '-', '1', 0x02, 0x50}, tbs[128], *out = ack[turn ^= 1];
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    const uint8_t *stream = memmem(event, size, "\x00\x01\x01\x50", 4);
    struct dunlin_span secret = world_file("director.key"), kid = world_file("director.kid");
    size_t n = 28, t = 0, length;
    psa_key_id_t key;

    CHECK(stream);
    payload[9] = world.acknowledge_other ? '2' : '1';
    memcpy(payload + 12, stream + 4, 16);
    payload[n++] = 0x03;
    payload[n++] = stream[21]; /* key 2 is followed by the number, in one byte or two */
    if (stream[21] == 0x18)
        payload[n++] = stream[22];
    memcpy(out, front, sizeof front);
    memcpy(out + sizeof front, kid.data, 8);
    length = sizeof front + 8;
    memcpy(tbs, context, sizeof context);
    memcpy(tbs + sizeof context, out + 2, 14);
    t = sizeof context + 14;
    memcpy(tbs + t, role, sizeof role);
    t += sizeof role;
    out[length++] = 0xa0;
    out[length++] = tbs[t++] = 0x58;
    out[length++] = tbs[t++] = (uint8_t)n;
    memcpy(out + length, payload, n);
    memcpy(tbs + t, payload, n);
    length += n;
    t += n;
    out[length++] = 0x58;
    out[length++] = 64;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&attributes, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    CHECK(psa_import_key(&attributes, secret.data, secret.size, &key) == PSA_SUCCESS);
    CHECK(psa_sign_message(key, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256), tbs, t, out + length, 64, &t) == PSA_SUCCESS);
    (void)psa_destroy_key(key);
    world_offer_bytes(DL_OFFER_ACK, out, length + 64);
}
