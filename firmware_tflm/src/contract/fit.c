/* Hardware fit (SPEC, section 12): the verdict is the contract's, the words are ours. */
#include <string.h>

#include "contract/manifest.h"

struct reasons {
    int count;
    void (*say)(void *ctx, const char *line);
    void *ctx;
};

/* `which` may be NULL. */
static void against(struct reasons *reasons, const char *what, const struct dunlin_span *which) {
    char line[96];
    reasons->count++;
    if (reasons->say) {
        const size_t size = strlen(what);
        memcpy(line, what, size + 1);
        if (which) {
            dl_copy_text(line + size, sizeof line - size, *which);
        }
        reasons->say(reasons->ctx, line);
    }
}

static bool is_listed(struct dunlin_span words, const char *word) {
    bool found = false;
    while (words.size > 0 && !found) {
        found = dl_is(dl_take(&words), word);
    }
    return found;
}

static bool is_older(const uint32_t have[3], struct dunlin_span want) {
    for (int i = 0; i < 3; i++) {
        const uint32_t number = dl_take_number(&want);
        if (have[i] != number) {
            return have[i] < number;
        }
    }
    return false;
}

static bool has_op(const struct dl_runtime *runtime, const uint8_t *op) {
    for (size_t i = 0; i < runtime->op_count; i++) {
        if (dl_same(runtime->ops[i].name, dl_content(op, 0)) && runtime->ops[i].version >= dl_number(op, 1)) {
            return true;
        }
    }
    return false;
}

static void check_runtime(const uint8_t *fit, const struct dl_description *device, struct reasons *reasons) {
    const struct dunlin_span name = dl_content(fit, DL_F_RUNTIME);
    const struct dl_runtime *runtime = NULL;
    for (size_t i = 0; i < device->runtime_count && !runtime; i++) {
        runtime = dl_is(name, device->runtimes[i].name) ? &device->runtimes[i] : NULL;
    }
    if (!runtime) {
        against(reasons, "runtime not installed: ", &name);
    } else if (is_older(runtime->version, dl_content(fit, DL_F_VERSION))) {
        against(reasons, "runtime too old: ", &name);
    } else if (!runtime->any_op) {
        for (struct dunlin_span left = dl_content(fit, DL_F_OPS); left.size > 0;) {
            const uint8_t *const op = dl_next(&left);
            if (!has_op(runtime, op)) {
                const struct dunlin_span missing = dl_content(op, 0);
                against(reasons, "operator missing: ", &missing);
                return; /* one reason, however many are missing */
            }
        }
    }
}

int dl_fit(const uint8_t *fit, const struct dl_description *device, void (*say)(void *ctx, const char *line),
           void *ctx) {
    struct reasons reasons = {0, say, ctx};
    const struct dunlin_span classes = dl_content(fit, DL_F_CLASSES), stores = dl_content(fit, DL_F_STORES);
    const uint64_t flash = dl_number(fit, DL_F_FLASH), arena = dl_number(fit, DL_F_ARENA);
    if (classes.size > 0 && !is_listed(classes, device->hardware_class)) {
        against(&reasons, "hardware class not supported", NULL);
    }
    if (stores.size > 0 && !is_listed(stores, device->model_store)) {
        const struct dunlin_span store = {(const uint8_t *)device->model_store, strlen(device->model_store)};
        against(&reasons, "the release accepts no model in ", &store);
    }
    check_runtime(fit, device, &reasons);
    if (dl_number(fit, DL_F_MEMORY) > device->memory) {
        against(&reasons, "too little memory", NULL);
    }
    if (device->flash > 0 && flash > device->flash) {
        against(&reasons, "too little flash", NULL);
    }
    if (device->arena > 0 && arena > device->arena) {
        against(&reasons, "too little arena", NULL);
    }
    return reasons.count;
}
