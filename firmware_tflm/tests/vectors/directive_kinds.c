/* Vectors of roots and of what the server and the ops keys sign for a device: directives, wipe orders, acks. */
#include <string.h>

#include "contract/verify.h"
#include "fields.h"

int root_in(const struct fields *in, const char *name, struct dl_root *root) {
    const int error = dl_root_open_known(field(in, name), root);
    return error ? DUNLIN_E_ARGUMENT : 0;
}

static int run_root(const char *kind, const struct fields *in) {
    struct dl_root root, current;
    int error;
    if (strcmp(kind, "root-first") == 0) {
        error = dl_root_first(field(in, "bytes"), field(in, "digest").data, &root);
    } else {
        error = root_in(in, "current", &current);
        error = error ? error : dl_root_next(field(in, "bytes"), &current, &root);
    }
    if (!error) {
        give_number("version", root.version);
        give_number("epoch", root.epoch);
        give_number("issued", root.issued);
        give("payload", root.payload);
    }
    return error;
}

/* ---- directives ---------------------------------------------------------------------------------------------------------- */

static void give_desired(const struct dl_desired *desired) {
    give_text("model", desired->model);
    give("release", (struct dunlin_span){desired->release, DUNLIN_DIGEST});
    give_number("floor", desired->floor);
    give("grant", (struct dunlin_span){desired->grant, desired->grant_size});
    give_number("lease_s", desired->lease_s);
    give_text("lease_action", desired->lease_action == DL_LEASE_STOP ? "stop" : "warn");
    give("manifest", (struct dunlin_span){desired->manifest, DUNLIN_DIGEST});
    give_number("pages", desired->pages);
    for (int i = 0; i < desired->pages && i < DUNLIN_INDEX_PAGES; i++) {
        give("page", (struct dunlin_span){desired->page[i], DUNLIN_DIGEST});
    }
}

static int run_directive(const struct fields *in) {
    struct dl_root root;
    struct dl_directive directive;
    int error = root_in(in, "root", &root);
    if (!error) {
        error = dl_directive_open(field(in, "bytes"), &root, &directive);
    }
    const uint8_t *next = dl_directive_peek_root(field(in, "bytes"));
    if (error) {
        return error;
    }
    give("digest", (struct dunlin_span){directive.digest, DUNLIN_DIGEST});
    give("device", directive.device);
    give_number("epoch", directive.epoch);
    give_number("seq", directive.seq);
    give_number("issued", directive.issued);
    give_number("expires", directive.expires);
    give_number("models", directive.models);
    if (directive.models > 0) {
        give_desired(&directive.desired);
    }
    give_text("refused", directive.refused);
    give_optional("settings", directive.settings, DUNLIN_DIGEST);
    give_optional("wipe", directive.wipe.data, directive.wipe.size);
    give_optional("nonce", directive.nonce, DUNLIN_ID);
    give_optional("root", directive.root, DUNLIN_DIGEST);
    give_optional("peeked", next, DUNLIN_DIGEST);
    return 0;
}

static int run_decide(const struct fields *in) {
    struct dl_directive directive;
    const struct dl_memory memory = {.device = string(in, "device"),
                                     .epoch = (uint32_t)number(in, "epoch"),
                                     .seq = number(in, "seq"),
                                     .digest = field(in, "digest").data,
                                     .nonce = field(in, "boot_nonce").data,
                                     .time_floor = number(in, "time_floor")};
    const int error = dl_directive_read(field(in, "bytes"), &directive);
    if (error) {
        return error;
    }
    const int verdict = dl_directive_decide(&memory, &directive, number(in, "uptime_s"));
    give_number("news", verdict == 0);
    return verdict == DL_FOLLOWED ? 0 : verdict;
}

/* ---- wipe orders, acks --------------------------------------------------------------------------------------------------- */

static int run_wipe_decide(const struct fields *in) {
    struct dl_wipe_order order;
    struct dl_directive directive;
    uint8_t models[16 * (2 + DUNLIN_NAME + 1)];
    size_t at = 0;
    const int error = dl_wipe_read(field(in, "bytes"), &order);
    if (error) {
        return error;
    }
    /* The table of a directive, as far as its names go. */
    for (size_t i = 0; field_at(in, "desired", i).data; i++) {
        const struct dunlin_span name = field_at(in, "desired", i);
        models[at++] = 0x78, models[at++] = (uint8_t)name.size;
        memcpy(models + at, name.data, name.size);
        at += name.size;
        models[at++] = 0xa0;
    }
    memset(&directive, 0, sizeof directive);
    directive.models_map = (struct dunlin_span){models, at};
    return dl_wipe_check(&order, string(in, "device"), &directive);
}

static int run_signed(const char *kind, const struct fields *in) {
    struct dl_root root;
    struct dl_ack ack;
    struct dl_wipe_order order;
    int error = root_in(in, "root", &root);
    if (error) {
        return error;
    }
    if (strcmp(kind, "ack") == 0) {
        error = dl_ack_open(field(in, "bytes"), &root, &ack);
        if (!error) {
            give("device", ack.device);
            give("stream", (struct dunlin_span){ack.stream, DUNLIN_ID});
            give_number("n", ack.n);
        }
        return error;
    }
    error = dl_wipe_open(field(in, "bytes"), &root, &order);
    if (!error) {
        give("device", order.device);
        give("id", (struct dunlin_span){order.id, DUNLIN_ID});
        give("digest", (struct dunlin_span){order.digest, DUNLIN_DIGEST});
        give_number("covers", dl_wipe_covers(&order, "digits"));
    }
    return error;
}

int run_directives(const char *kind, const struct fields *in) {
    static const struct kind kinds[] = {
        {"directive", run_directive},
        {"directive-decide", run_decide},
        {"wipe-decide", run_wipe_decide},
    };
    if (strcmp(kind, "root-first") == 0 || strcmp(kind, "root-next") == 0) {
        return run_root(kind, in);
    }
    if (strcmp(kind, "ack") == 0 || strcmp(kind, "wipe") == 0) {
        return run_signed(kind, in);
    }
    return run_kind(kinds, sizeof kinds / sizeof kinds[0], kind, in);
}
