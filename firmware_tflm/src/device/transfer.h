/* The child's side of the link: says hello, gets bytes of objects and offered messages, sends messages up.
 *
 * Everything is asked for again until it is there, so a lost or damaged frame costs a time-out and nothing else. What
 * arrives is bytes from a stranger: whoever asked checks them. */
#ifndef DL_TRANSFER_H
#define DL_TRANSFER_H

#include "device/link.h"
#include "dunlin/port.h"

#define DL_UP_BYTES 2304     /* longest message up: a report with 64 operators, an event with a receipt */
#define DL_GET_RETRY_MS 400  /* silence within an answer */
#define DL_GET_WAIT_MS 2000  /* silence instead of one: a gateway may take a second to fetch */
#define DL_UP_RETRY_MS 1000
#define DL_HELLO_MS 2000
#define DL_KEEP_ALIVE_MS 10000
#define DL_SILENCE_MS 30000  /* nothing heard for so long: the gateway is gone */

enum dl_get_state {
    DL_GET_IDLE,
    DL_GET_RUNNING,
    DL_GET_NONE,  /* the gateway does not have it, or not yet */
    DL_GET_DONE,  /* all bytes are there */
    DL_GET_ENDED, /* the object ended before: `have` bytes are there */
    DL_GET_STUCK  /* no answer for several time-outs */
};
struct dl_get {
    uint8_t state, retries;
    uint8_t *to;
    uint32_t offset, length, have; /* in the object; of what is wanted; of what is there */
    uint32_t asked;                /* end of the request that is out */
    uint32_t due;
    uint8_t name[DUNLIN_DIGEST];
};
struct dl_offer {
    uint16_t length;
    bool wanted, took_due;
    uint8_t name[DUNLIN_DIGEST], taken[DUNLIN_DIGEST]; /* the one offered; the last one taken */
};
struct dl_transfer { /* what is short comes first: on a Cortex-M far fields cost code */
    uint8_t up_kind; /* 0: nothing is being sent */
    bool welcome;    /* the gateway has answered */
    bool connected;  /* set when it answers after silence; the reader clears it */
    bool enrolled;
    uint8_t in_size, in_at;
    uint16_t out_size, out_sent, up_size, up_id, up_sent, up_got;
    const struct dunlin_pipe *pipe;
    const char *device; /* as in HELLO */
    uint32_t now, sent_at, heard_at, hello_due, up_due; /* milliseconds; they wrap */
    uint8_t nonce[DUNLIN_ID];
    struct dl_get get;
    struct dl_offer offer[DL_OFFER_END];
    uint8_t in[64]; /* read, not looked at yet */
    uint8_t out[DUNLIN_LINK_LINE + 1];
    struct dl_decoder decoder;
    uint8_t up[DL_UP_BYTES];
};

/* Whether a moment has come, on a clock of milliseconds that wraps: for spans of less than 24 days. */
static inline bool dl_due(uint32_t now, uint32_t at)
{
    return (int32_t)(now - at) >= 0;
}

void dl_transfer_open(struct dl_transfer *t, const struct dunlin_pipe *pipe, const char *device, bool enrolled,
                      const uint8_t nonce[DUNLIN_ID]);
/* Name or flag changed: say hello again. */
void dl_transfer_introduce(struct dl_transfer *t, bool enrolled);
/* At most one frame in and one frame out. Whether there was one. */
bool dl_transfer_step(struct dl_transfer *t, uint32_t now);

/* Want `length` bytes of `name` from `offset` on at `to`. Another request is given up. */
void dl_get_start(struct dl_transfer *t, const uint8_t name[DUNLIN_DIGEST], uint32_t offset, uint8_t *to, uint32_t length);
void dl_get_stop(struct dl_transfer *t);

/* Send up[0 .. size) as one message; only while up_kind is 0, which it is again once the gateway has handed it on. */
void dl_up_start(struct dl_transfer *t, uint8_t kind, size_t size);

/* The message of this name was taken: say so, and again if it is offered again. Another one that was offered in the
 * meantime is still wanted. */
void dl_offer_took(struct dl_transfer *t, uint8_t kind, const uint8_t name[DUNLIN_DIGEST]);
/* Not now: it will be offered again. */
void dl_offer_later(struct dl_transfer *t, uint8_t kind, const uint8_t name[DUNLIN_DIGEST]);

#endif
