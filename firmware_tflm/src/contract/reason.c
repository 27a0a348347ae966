#include "dunlin/error.h"

#include <string.h>

/* One after the other, each with its end: a table of pointers would take four bytes more a name. */
static const char reasons[] =
#define DUNLIN_X_(name, text) text "\0"
    DUNLIN_REASONS(DUNLIN_X_)
#undef DUNLIN_X_
    ;

const char *dunlin_reason(int code) {
    const char *reason = reasons;
    if (code < 0)
        code = -code;
    if (code <= 0 || code >= DUNLIN_E_END_) {
        return code == 0 ? "ok" : "unknown";
    }
    for (; code > 1; code--) {
        reason += strlen(reason) + 1;
    }
    return reason;
}
