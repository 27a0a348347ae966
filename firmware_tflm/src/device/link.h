/* Frames of the serial link: COBS(body || CRC-32 of body) 00 (SPEC, "Link"), and numbers in them. */
#ifndef DL_LINK_H
#define DL_LINK_H

#include <stdbool.h>

#include "dunlin/contract.h"

enum dl_message_type {
    DL_HELLO = 0x01,
    DL_GET = 0x02,
    DL_UP = 0x03,
    DL_TOOK = 0x04,
    DL_WELCOME = 0x81,
    DL_OFFER = 0x82,
    DL_DATA = 0x83,
    DL_NONE = 0x84,
    DL_GOT = 0x85
};
enum dl_offer_kind { DL_OFFER_DESIRED = 1, DL_OFFER_ACK, DL_OFFER_ENROL, DL_OFFER_CLAIM, DL_OFFER_END };
enum dl_up_kind { DL_UP_REPORTED = 1, DL_UP_EVENTS, DL_UP_ENROL };

#define DL_LINK_PREFIX 8 /* first bytes of a name */

/* Frames out of a stream of bytes; holds at most one, whatever comes. All zero to begin with. */
struct dl_decoder {
    uint8_t line[DUNLIN_LINK_LINE];
    uint16_t have; /* all of `line`: the frame is too long, and dropped at its end */
    uint32_t bad;  /* frames that did not decode */
};
/* Take bytes up to the end of a frame; `taken` says how many. Size of the body that they complete, which lies at
 * decoder->line until the next call; 0: none. */
size_t dl_link_feed(struct dl_decoder *decoder, const uint8_t *data, size_t size, size_t *taken);

/* Frame of a body of 1 .. DUNLIN_LINK_BODY bytes, delimiter included; its size. */
size_t dl_link_encode(const uint8_t *body, size_t size, uint8_t line[DUNLIN_LINK_LINE]);

/* A gateway's message, taken apart; spans point into the body. */
struct dl_message {
    uint8_t type;
    uint8_t kind;          /* OFFER */
    uint16_t length;       /* OFFER */
    uint16_t id, next;     /* GOT */
    uint32_t offset;       /* DATA */
    const uint8_t *name;   /* OFFER: 32 bytes; DATA, NONE: 8 */
    struct dunlin_span data; /* DATA; WELCOME: the gateway's id */
};
/* FRAME: not a message that a gateway sends. VERSION. */
int dl_link_parse(struct dunlin_span body, struct dl_message *message);

/* An offered claim: u8 n || device id || text of the claim token. FRAME. */
int dl_link_claim(struct dunlin_span message, struct dunlin_span *device, struct dunlin_span *token);

/* A child's messages into body[0 .. DUNLIN_LINK_BODY); their sizes. `device` may be empty. */
size_t dl_link_hello(uint8_t *body, bool enrolled, const uint8_t nonce[16], const char *device);
size_t dl_link_get(uint8_t *body, const uint8_t name[DUNLIN_DIGEST], uint32_t offset, uint16_t length);
size_t dl_link_up(uint8_t *body, uint8_t kind, uint16_t id, uint16_t offset, uint16_t total, struct dunlin_span piece);
size_t dl_link_took(uint8_t *body, const uint8_t name[DUNLIN_DIGEST]);

#endif
