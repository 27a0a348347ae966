/* Enrolment: the claim token that a person hands over, and the server's reply. */
#include <string.h>

#include "contract/schema.h"
#include "contract/verify.h"

#define TOKEN_CHARS 512
#define RECORD_BYTES 400
#define PREFIX "dunlin1-"
#define PREFIX_CHARS 8

static int base64url(uint8_t c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= 0x09 && c <= 0x0d);
}

/* RFC 4648 section 5, without padding; no bits may be left over. */
static bool decode(struct dunlin_span text, uint8_t *out, size_t *size) {
    uint32_t bits = 0, held = 0;
    *size = 0;
    for (size_t i = 0; i < text.size; i++) {
        const int value = base64url(text.data[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[(*size)++] = (uint8_t)(bits >> held);
        }
    }
    return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

int dl_claim_open(struct dunlin_span text, struct dl_claim *claim) {
    uint8_t bytes[RECORD_BYTES];
    struct dunlin_span token = text;
    for (; token.size > 0 && is_blank(token.data[0]); token.size--) {
        token.data++;
    }
    while (token.size > 0 && is_blank(token.data[token.size - 1])) {
        token.size--;
    }
    if (token.size > TOKEN_CHARS) {
        return DUNLIN_E_SIZE;
    }
    if (token.size < PREFIX_CHARS || memcmp(token.data, PREFIX, PREFIX_CHARS) != 0) {
        return DUNLIN_E_CLAIM_TOKEN;
    }
    struct dunlin_span packed = {bytes, 0};
    token.data += PREFIX_CHARS, token.size -= PREFIX_CHARS;
    int error = decode(token, bytes, &packed.size) ? 0 : DUNLIN_E_CLAIM_TOKEN;
    if (!error) {
        error = dl_schema_check(packed, RECORD_BYTES, DL_RECORD_CLAIM_TOKEN);
    }
    if (!error) {
        dl_copy_bytes(claim->root_digest, DUNLIN_DIGEST, packed.data, 2);
        dl_copy_bytes(claim->token_id, sizeof claim->token_id, packed.data, 3);
        dl_copy_bytes(claim->secret, sizeof claim->secret, packed.data, 4);
    }
    dl_wipe(bytes, sizeof bytes);
    return error;
}

int dl_enrol_reply_open(struct dunlin_span message, struct dl_enrol_reply *reply) {
    const int error = dl_schema_check(message, DUNLIN_ENROL_BYTES, DL_RECORD_ENROL_REPLY);
    if (error) {
        return error;
    }
    const uint8_t *const record = message.data;
    uint32_t fields = 0;
    for (uint8_t key = 2; key <= 7; key++) {
        fields |= (uint32_t)(dl_lookup(record, key) != NULL) << key;
    }
    reply->status = (uint8_t)dl_choice_at(record, 1, DL_CHOICE_ENROL_REPLY_STATUS);
    reply->poll_s = (uint32_t)dl_number(record, 5);
    reply->root = dl_content(record, 6);
    reply->reason = dl_content(record, 7);
    /* Chain and broker for a device that connects by itself, a root for one behind a gateway. */
    const bool fits = reply->status == DL_ENROL_ISSUED    ? fields == 0x1c || fields == 0x40
                      : reply->status == DL_ENROL_PENDING ? fields == 0x20
                                                          : fields == 0x80;
    return fits ? 0 : DUNLIN_E_REPLY_STATUS;
}
