/* Checks of the unit tests: the first that fails says where, and ends the test. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                             \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

#define CHECK_CODE(got, want)                                                                                         \
    do {                                                                                                              \
        int got_ = (got), want_ = (want);                                                                             \
        if (got_ != want_) {                                                                                          \
            (void)fprintf(stderr, "%s:%d: %s is %s, not %s\n", __FILE__, __LINE__, #got, dunlin_reason(got_),          \
                          dunlin_reason(want_));                                                                      \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

#endif
