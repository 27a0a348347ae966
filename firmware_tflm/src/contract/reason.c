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
    if (code <= DUNLIN_E_BASE_ || code >= DUNLIN_E_END_) {
        return code == 0 ? "ok" : "unknown";
    }
    for (int place = code - DUNLIN_E_BASE_ - 1; place > 0; place--) {
        reason += strlen(reason) + 1;
    }
    return reason;
}
