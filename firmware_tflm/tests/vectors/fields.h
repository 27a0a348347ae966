/* The vector runner's protocol: a line `kind name=hex name=hex ...` asks, a line `rule name=hex ...` answers. Numbers
 * are decimal text; a name that stands there several times is a list. */
#ifndef FIELDS_H
#define FIELDS_H

#include "dunlin/contract.h"
#include "dunlin/error.h"

struct fields;

/* The field, of a list its n-th; empty with NULL data if there is none. Each lies in memory of its exact size. */
struct dunlin_span field(const struct fields *in, const char *name);
struct dunlin_span field_at(const struct fields *in, const char *name, size_t n);
uint64_t number(const struct fields *in, const char *name);
uint64_t number_at(const struct fields *in, const char *name, size_t n);
/* As a terminated string, good until the line is answered. */
const char *string(const struct fields *in, const char *name);

void give(const char *name, struct dunlin_span value);
void give_text(const char *name, const char *value);
void give_number(const char *name, uint64_t value);
/* Nothing if `data` is NULL. */
void give_optional(const char *name, const uint8_t *data, size_t size);

/* 0 or the rule's code; UNKNOWN_KIND if the kind is not theirs. */
#define UNKNOWN_KIND (-1)
int run_releases(const char *kind, const struct fields *in);
int run_directives(const char *kind, const struct fields *in);
int run_secrets(const char *kind, const struct fields *in);
int run_records(const char *kind, const struct fields *in);
int run_bundle(const char *kind, const struct fields *in);
int run_other(const char *kind, const struct fields *in);
int run_link(const char *kind, const struct fields *in);
int run_topic(const char *kind, const struct fields *in);
int run_write(const char *kind, const struct fields *in);
int run_oracle(const char *kind, const struct fields *in);

/* Kinds that each have a function of their own: runs the one that `kind` names. */
struct kind {
    const char *kind;
    int (*run)(const struct fields *in);
};
int run_kind(const struct kind *kinds, size_t count, const char *kind, const struct fields *in);

/* The root in a field, as a device keeps it: 0, or DUNLIN_E_ARGUMENT if it is none. */
struct dl_root;
int root_in(const struct fields *in, const char *name, struct dl_root *root);

/* A `device-description` record for `fit`; the strings stay in static memory. */
struct dl_description;
int read_description(struct dunlin_span record, struct dl_description *description);

#endif
