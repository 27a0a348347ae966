#include "device/transfer.h"

#include <string.h>

#define QUIET_MS 100 /* after so much silence a 00 in front ends whatever noise the line made */
#define GET_RETRIES 5

void dl_transfer_open(struct dl_transfer *t, const struct dunlin_pipe *pipe, const char *device, bool enrolled,
                      const uint8_t nonce[DUNLIN_ID])
{
    memset(t, 0, sizeof *t);
    t->pipe = pipe;
    t->device = device;
    t->enrolled = enrolled;
    memcpy(t->nonce, nonce, DUNLIN_ID);
    memcpy(&t->up_id, nonce, sizeof t->up_id); /* another message than the last one before the reset */
}

void dl_transfer_introduce(struct dl_transfer *t, bool enrolled)
{
    t->enrolled = enrolled;
    t->welcome = false;
    t->hello_due = t->now;
}

void dl_get_start(struct dl_transfer *t, const uint8_t name[DUNLIN_DIGEST], uint32_t offset, uint8_t *to, uint32_t length)
{
    struct dl_get *get = &t->get;

    memcpy(get->name, name, DUNLIN_DIGEST);
    get->to = to;
    get->offset = offset;
    get->length = length;
    get->have = get->asked = 0;
    get->due = t->now;
    get->retries = 0;
    get->state = DL_GET_RUNNING;
}

void dl_get_stop(struct dl_transfer *t)
{
    t->get.state = DL_GET_IDLE;
}

void dl_up_start(struct dl_transfer *t, uint8_t kind, size_t size)
{
    t->up_id++;
    t->up_size = (uint16_t)size;
    t->up_sent = t->up_got = 0;
    t->up_due = t->now + DL_UP_RETRY_MS;
    t->up_kind = kind;
}

void dl_offer_later(struct dl_transfer *t, uint8_t kind, const uint8_t name[DUNLIN_DIGEST])
{
    if (memcmp(t->offer[kind].name, name, DUNLIN_DIGEST) == 0)
        t->offer[kind].wanted = false;
}

void dl_offer_took(struct dl_transfer *t, uint8_t kind, const uint8_t name[DUNLIN_DIGEST])
{
    memcpy(t->offer[kind].taken, name, DUNLIN_DIGEST);
    t->offer[kind].took_due = true;
    dl_offer_later(t, kind, name);
}

/* ---- in -------------------------------------------------------------------------------------------------------- */

static void on_data(struct dl_get *get, const struct dl_message *m, uint32_t now)
{
    size_t room = get->asked - get->have;

    /* In ascending order: what is missing in between is asked for again. */
    if (m->offset != get->offset + get->have)
        return;
    if (!m->data.size) {
        get->state = DL_GET_ENDED;
        return;
    }
    if (m->data.size < room)
        room = m->data.size;
    memcpy(get->to + get->have, m->data.data, room);
    get->have += (uint32_t)room;
    get->retries = 0;
    get->due = get->have < get->asked ? now + DL_GET_RETRY_MS : now;
    if (get->have == get->length)
        get->state = DL_GET_DONE;
}

static void on_offer(struct dl_offer *offer, const struct dl_message *m)
{
    if (memcmp(offer->taken, m->name, DUNLIN_DIGEST) == 0) {
        offer->took_due = true;
        return;
    }
    memcpy(offer->name, m->name, DUNLIN_DIGEST);
    offer->length = m->length;
    offer->wanted = true;
}

static void on_got(struct dl_transfer *t, const struct dl_message *m)
{
    if (!t->up_kind || m->id != t->up_id || m->next > t->up_size)
        return;
    if (m->next == t->up_size) {
        t->up_kind = 0;
        return;
    }
    if (m->next < t->up_got || t->up_sent < m->next)
        t->up_sent = m->next; /* a gateway that was restarted begins anew */
    if (m->next != t->up_got)
        t->up_due = t->now + DL_UP_RETRY_MS;
    t->up_got = m->next;
}

static void on_frame(struct dl_transfer *t, struct dunlin_span body)
{
    struct dl_message m;

    if (dl_link_parse(body, &m)) {
        t->decoder.bad++;
        return;
    }
    t->heard_at = t->now;
    switch (m.type) {
    case DL_WELCOME:
        if (!t->welcome) {
            t->welcome = t->connected = true;
            t->get.due = t->up_due = t->now;
        }
        t->hello_due = t->now + DL_KEEP_ALIVE_MS;
        break;
    case DL_OFFER:
        on_offer(&t->offer[m.kind], &m);
        break;
    case DL_DATA:
    case DL_NONE:
        if (t->get.state != DL_GET_RUNNING || memcmp(t->get.name, m.name, DL_LINK_PREFIX) != 0)
            break;
        if (m.type == DL_DATA)
            on_data(&t->get, &m, t->now);
        else
            t->get.state = DL_GET_NONE;
        break;
    default:
        on_got(t, &m);
    }
}

/* What a read gave beyond the end of a frame waits in `in`. */
static bool receive(struct dl_transfer *t)
{
    size_t size, taken;

    if (t->in_at == t->in_size) {
        t->in_size = (uint8_t)t->pipe->read(t->pipe->ctx, t->in, sizeof t->in);
        t->in_at = 0;
    }
    if (t->in_at == t->in_size)
        return false;
    size = dl_link_feed(&t->decoder, t->in + t->in_at, (size_t)(t->in_size - t->in_at), &taken);
    t->in_at = (uint8_t)(t->in_at + taken);
    if (size)
        on_frame(t, (struct dunlin_span){t->decoder.line, size});
    return true;
}

/* ---- out ------------------------------------------------------------------------------------------------------- */

static bool flush(struct dl_transfer *t)
{
    if (t->out_sent < t->out_size)
        t->out_sent = (uint16_t)(t->out_sent + t->pipe->write(t->pipe->ctx, t->out + t->out_sent,
                                                              (size_t)(t->out_size - t->out_sent)));
    return t->out_sent == t->out_size;
}

static void send(struct dl_transfer *t, const uint8_t *body, size_t size)
{
    uint16_t front = t->now - t->sent_at > QUIET_MS;

    t->out[0] = 0;
    t->out_size = (uint16_t)(front + dl_link_encode(body, size, t->out + front));
    t->out_sent = 0;
    t->sent_at = t->now;
    flush(t);
}

static bool send_get(struct dl_transfer *t, uint8_t *body)
{
    struct dl_get *get = &t->get;
    uint32_t length = get->length - get->have;

    if (get->state != DL_GET_RUNNING || !dl_due(t->now, get->due))
        return false;
    if (get->have < get->asked && ++get->retries > GET_RETRIES) {
        get->state = DL_GET_STUCK;
        return false;
    }
    if (length > DUNLIN_LINK_WINDOW)
        length = DUNLIN_LINK_WINDOW;
    get->asked = get->have + length;
    get->due = t->now + DL_GET_WAIT_MS;
    send(t, body, dl_link_get(body, get->name, get->offset + get->have, (uint16_t)length));
    return true;
}

static bool send_up(struct dl_transfer *t, uint8_t *body)
{
    struct dunlin_span piece = {t->up + t->up_sent, (size_t)(t->up_size - t->up_sent)};

    if (!t->up_kind)
        return false;
    if (dl_due(t->now, t->up_due)) {
        t->up_sent = t->up_got;
        t->up_due = t->now + DL_UP_RETRY_MS;
        return send_up(t, body);
    }
    if (!piece.size || t->up_sent >= t->up_got + DUNLIN_LINK_WINDOW)
        return false;
    if (piece.size > DUNLIN_LINK_DATA)
        piece.size = DUNLIN_LINK_DATA;
    send(t, body, dl_link_up(body, t->up_kind, t->up_id, t->up_sent, t->up_size, piece));
    t->up_sent = (uint16_t)(t->up_sent + piece.size);
    t->up_due = t->now + DL_UP_RETRY_MS;
    return true;
}

static bool send_took(struct dl_transfer *t, uint8_t *body)
{
    unsigned kind;

    for (kind = DL_OFFER_DESIRED; kind < DL_OFFER_END; kind++)
        if (t->offer[kind].took_due) {
            t->offer[kind].took_due = false;
            send(t, body, dl_link_took(body, t->offer[kind].taken));
            return true;
        }
    return false;
}

static bool transmit(struct dl_transfer *t)
{
    uint8_t body[DUNLIN_LINK_BODY];

    if (!flush(t))
        return false;
    if (t->hello_due - t->now > DL_KEEP_ALIVE_MS)
        t->hello_due = t->now; /* it passed, however long ago: the pipe took nothing, or the device slept */
    if (dl_due(t->now, t->hello_due)) {
        t->hello_due = t->now + (t->welcome ? DL_KEEP_ALIVE_MS : DL_HELLO_MS);
        send(t, body, dl_link_hello(body, t->enrolled, t->nonce, t->device));
        return true;
    }
    return t->welcome && (send_took(t, body) || send_get(t, body) || send_up(t, body));
}

bool dl_transfer_step(struct dl_transfer *t, uint32_t now)
{
    bool received;

    t->now = now;
    if (t->welcome && now - t->heard_at > DL_SILENCE_MS)
        dl_transfer_introduce(t, t->enrolled);
    received = receive(t);
    return transmit(t) || received;
}
