/* Vectors of topics: no firmware meets one, since its gateway does. */
#include <stdio.h>
#include <string.h>

#include "contract/schema.h"
#include "fields.h"

static bool is_one_of(struct dunlin_span word, const char *const *list) {
    for (; *list; list++) {
        if (dl_is(word, *list)) {
            return true;
        }
    }
    return false;
}

int run_topic(const char *kind, const struct fields *in) {
    static const char *const up[] = {"status", "reported", "events", "results", "telemetry", NULL};
    static const char *const child_up[] = {"status", "reported", "events", "enrol", NULL};
    static const char *const down[] = {"desired", "ack", NULL};
    static const char *const child_down[] = {"desired", "ack", "enrol", NULL};
    const bool is_down = strcmp(kind, "topic-down") == 0;
    if (strcmp(kind, "topic") != 0 && !is_down) {
        return UNKNOWN_KIND;
    }
    struct dunlin_span topic = field(in, "topic"), part[6];
    const size_t prefix = strlen("dunlin/v1/");
    if (topic.size < prefix || topic.size > 160 || memcmp(topic.data, "dunlin/v1/", prefix) != 0) {
        return DUNLIN_E_TOPIC;
    }
    size_t parts = 0;
    part[0] = (struct dunlin_span){topic.data + prefix, 0};
    for (size_t i = prefix; i < topic.size && parts < 5; i++) {
        if (topic.data[i] == '/') {
            part[++parts] = (struct dunlin_span){topic.data + i + 1, 0};
        } else {
            part[parts].size++;
        }
    }
    parts++;
    const char *way = is_down ? "dn" : "up";
    const bool child = parts == 5 && dl_is(part[1], "c") && dl_is(part[3], way);
    if (!child && !(parts == 3 && dl_is(part[1], way))) {
        return DUNLIN_E_TOPIC;
    }
    const char *const *known = is_down ? (child ? child_down : down) : child ? child_up : up;
    const struct dunlin_span device = part[child ? 2 : 0];
    if (!is_one_of(part[parts - 1], known) || dl_device_check(part[0]) || dl_device_check(device)) {
        return DUNLIN_E_TOPIC;
    }
    give("device", device);
    if (child) {
        give("gateway", part[0]);
    }
    give("message", part[parts - 1]);
    return 0;
}
