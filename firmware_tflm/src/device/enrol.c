/* Enrolment over the line: a claim names the device and the server's root; the request is signed by the identity key. */
#include <string.h>

#include "device/device.h"

#define REPLY_MS 60000 /* no reply for so long: the same request again */

/* What the device is called from now on, in the journal and on the line. */
static int name(struct dl_device *d)
{
    int rc;

    memcpy(d->identity.device, d->claim.device, sizeof d->identity.device);
    rc = dl_save(d, DL_KEY_IDENTITY, false);
    dl_transfer_introduce(&d->link, d->identity.enrolled);
    return rc;
}

/* Its secret is used up: out of memory and flash with it. */
int dl_claim_forget(struct dl_device *d)
{
    dl_wipe(&d->claim, sizeof d->claim);
    return dl_store_scrub(&d->store, DL_KEY_CLAIM);
}

/* Only a device that is not enrolled takes one. */
void dl_claim_arrived(struct dl_device *d, struct dunlin_span message)
{
    struct dunlin_span device, token;
    struct dl_claim claim;
    int rc;

    if (d->identity.enrolled)
        return;
    rc = dl_link_claim(message, &device, &token);
    if (!rc)
        rc = dl_claim_open(token, &claim);
    if (rc) {
        dl_log(d, "claim refused", rc);
        return;
    }
    memset(&d->claim, 0, sizeof d->claim);
    dl_copy_digest(d->claim.root_digest, claim.root_digest);
    memcpy(d->claim.token_id, claim.token_id, sizeof claim.token_id);
    memcpy(d->claim.secret, claim.secret, sizeof claim.secret);
    memcpy(d->claim.device, device.data, device.size);
    dl_wipe(&claim, sizeof claim);
    d->enrol_at_ms = d->now_ms;
    (void)dl_save(d, DL_KEY_CLAIM, true);
    (void)name(d);
}

static int issued(struct dl_device *d, struct dunlin_span envelope)
{
    struct dl_followed *f = &d->followed;
    struct dl_root root;
    int rc = dl_root_first(envelope, d->claim.root_digest, &root), forgot;

    if (rc)
        return rc;
    memset(f, 0, sizeof *f);
    f->epoch = root.epoch;
    f->time_floor = root.issued;
    f->lived = f->floor_at = f->lease_at = d->lived_kept = d->lived;
    d->identity.enrolled = 1;
    (void)dl_sha256(envelope, d->root_name);
    rc = dl_journal(d, DL_KEY_ROOT, envelope.data, envelope.size, true);
    if (!rc)
        rc = dl_save(d, DL_KEY_FOLLOWED, true);
    if (!rc)
        rc = name(d);
    forgot = dl_claim_forget(d);
    return rc ? rc : forgot;
}

void dl_enrol_reply_arrived(struct dl_device *d, struct dunlin_span message)
{
    struct dl_enrol_reply reply;
    int rc;

    if (!d->claim.device[0])
        return;
    rc = dl_enrol_reply_open(message, &reply);
    if (!rc && reply.status == DL_ENROL_PENDING) {
        d->enrol_at_ms = d->now_ms + 1000 * reply.poll_s;
    } else if (!rc && reply.status == DL_ENROL_REFUSED) {
        (void)dl_claim_forget(d);
        (void)name(d); /* none */
        dl_log(d, "the server refuses this claim", 0);
    } else {
        if (!rc)
            rc = issued(d, reply.root);
        dl_log(d, "enrolment", rc);
    }
}

bool dl_enrol_step(struct dl_device *d)
{
    struct dl_description description = dl_describe(d);
    uint8_t identity[DUNLIN_SPKI], kem[DUNLIN_SPKI];
    struct dl_enrol_request request = {d->identity.device, d->claim.token_id, d->claim.secret, identity, kem,
                                       &description};
    size_t size;
    int rc;

    if (!d->claim.device[0] || !d->link.welcome || d->link.up_kind || !dl_due(d->now_ms, d->enrol_at_ms))
        return false;
    d->enrol_at_ms = d->now_ms + REPLY_MS;
    memset(d->link.offer[DL_OFFER_ENROL].taken, 0, DUNLIN_DIGEST); /* the same answer again is an answer to this one */
    rc = dl_public_spki(d->port.identity_key, identity);
    if (!rc)
        rc = dl_public_spki(dl_kem_key(d), kem);
    if (!rc)
        rc = dl_enrol_write(&request, d->port.identity_key, d->link.up, sizeof d->link.up, &size);
    if (!rc)
        dl_up_start(&d->link, DL_UP_ENROL, size);
    return true;
}
