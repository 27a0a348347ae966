/* Runs contract/vectors through the C implementation: lines in, lines out (fields.h). tests/firmware/ drives it. */
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"

#define FIELDS 5000

struct fields {
    size_t count;
    struct {
        const char *name;
        struct dunlin_span value;
        char *text;
    } at[FIELDS];
};

static char answer[1 << 22];
static size_t answered;

struct dunlin_span field_at(const struct fields *in, const char *name, size_t n) {
    for (size_t i = 0; i < in->count; i++) {
        if (strcmp(in->at[i].name, name) == 0 && n-- == 0) {
            return in->at[i].value;
        }
    }
    return (struct dunlin_span){NULL, 0};
}

struct dunlin_span field(const struct fields *in, const char *name) {
    return field_at(in, name, 0);
}

static const char *text_at(const struct fields *in, const char *name, size_t n) {
    for (size_t i = 0; i < in->count; i++) {
        if (strcmp(in->at[i].name, name) == 0 && n-- == 0) {
            return in->at[i].text;
        }
    }
    return "";
}

const char *string(const struct fields *in, const char *name) {
    return text_at(in, name, 0);
}

uint64_t number_at(const struct fields *in, const char *name, size_t n) {
    return strtoull(text_at(in, name, n), NULL, 10);
}

uint64_t number(const struct fields *in, const char *name) {
    return number_at(in, name, 0);
}

void give(const char *name, struct dunlin_span value) {
    answered += (size_t)sprintf(answer + answered, " %s=", name);
    for (size_t i = 0; i < value.size; i++) {
        answered += (size_t)sprintf(answer + answered, "%02x", value.data[i]);
    }
}

void give_text(const char *name, const char *value) {
    give(name, (struct dunlin_span){(const uint8_t *)value, strlen(value)});
}

void give_number(const char *name, uint64_t value) {
    char text[24];
    sprintf(text, "%llu", (unsigned long long)value);
    give_text(name, text);
}

void give_optional(const char *name, const uint8_t *data, size_t size) {
    if (data) {
        give(name, (struct dunlin_span){data, size});
    }
}

static int nibble(char c) {
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

static void read_field(struct fields *in, char *word) {
    char *value = strchr(word, '=');
    if (!value || in->count == FIELDS) {
        fprintf(stderr, "vectors: not a field: %.40s\n", word);
        exit(2);
    }
    *value++ = 0;
    const size_t size = strlen(value) / 2;
    uint8_t *bytes = malloc(size ? size : 1); /* of its exact size, so that a sanitizer sees each step too far */
    char *text = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(nibble(value[2 * i]) << 4 | nibble(value[2 * i + 1]));
    }
    memcpy(text, bytes, size);
    text[size] = 0;
    in->at[in->count].name = word;
    in->at[in->count].value = (struct dunlin_span){bytes, size};
    in->at[in->count++].text = text;
}

static int run(const char *kind, const struct fields *in);

/* Every single bit of `bytes` changed in turn, put to `kind`: how many there were, and how many were taken all the same. */
static int run_flips(const struct fields *in) {
    const struct dunlin_span bytes = field(in, "bytes");
    uint64_t taken = 0;
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        uint8_t *byte = (uint8_t *)(uintptr_t)bytes.data + bit / 8;
        *byte ^= (uint8_t)(1u << bit % 8);
        taken += run(string(in, "kind"), in) == 0;
        *byte ^= (uint8_t)(1u << bit % 8);
        answered = 0;
    }
    give_number("flips", 8 * bytes.size);
    give_number("taken", taken);
    return 0;
}

int run_kind(const struct kind *kinds, size_t count, const char *kind, const struct fields *in) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(kind, kinds[i].kind) == 0) {
            return kinds[i].run(in);
        }
    }
    return UNKNOWN_KIND;
}

static int run(const char *kind, const struct fields *in) {
    int (*const runs[])(const char *, const struct fields *) = {run_releases, run_directives, run_secrets, run_records, run_bundle,
                                                                run_other, run_link, run_topic, run_write, run_oracle};
    if (strcmp(kind, "flips") == 0) {
        return run_flips(in);
    }
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const int code = runs[i](kind, in);
        if (code != UNKNOWN_KIND) {
            return code;
        }
    }
    fprintf(stderr, "vectors: unknown kind %s\n", kind);
    exit(2);
}

int main(void) {
    static struct fields in;
    char *line = NULL;
    size_t room = 0;
    if (psa_crypto_init() != PSA_SUCCESS) {
        return 2;
    }
    while (getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *rest = NULL;
        const char *kind = strtok_r(line, " ", &rest);
        in.count = answered = 0;
        answer[0] = 0;
        for (char *word = strtok_r(NULL, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
            read_field(&in, word);
        }
        const int code = run(kind, &in);
        printf("%s%s\n", dunlin_reason(code), code ? "" : answer);
        fflush(stdout);
        for (size_t i = 0; i < in.count; i++) {
            free((void *)(uintptr_t)in.at[i].value.data);
            free(in.at[i].text);
        }
    }
    free(line);
    return 0;
}
