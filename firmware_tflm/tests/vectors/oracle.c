/* A record put to zcbor's reader, and to ours: `oracle record=NAME bytes=...` answers what ours says, and gives `zcbor`,
 * 1 if that reader takes it, too. */
#include "oracle.h"

#include <string.h>

#include "contract/schema.h"
#include "contract/verify.h"
#include "fields.h"

int oracle_rule(int zcbor_error) {
    switch (zcbor_error) {
    case ZCBOR_SUCCESS: return 0;
    case ZCBOR_ERR_WRONG_TYPE: return DUNLIN_E_TYPE;
    case ZCBOR_ERR_WRONG_VALUE: return DUNLIN_E_VALUE;
    case ZCBOR_ERR_ITERATIONS: return DUNLIN_E_COUNT;
    case ZCBOR_ERR_HIGH_ELEM_COUNT: return DUNLIN_E_FIELD_UNKNOWN;
    case ZCBOR_ERR_LOW_ELEM_COUNT:
    case ZCBOR_ERR_NO_PAYLOAD: return DUNLIN_E_FIELD_MISSING;
    default: return DUNLIN_E_RANGE;
    }
}

#define READER(name)                                                                                                   \
    static int read_##name(struct dunlin_span bytes) {                                                                 \
        static struct dnb_##name record;                                                                               \
        return DL_READ(dnb_##name, bytes, &record);                                                                    \
    }
READER(root)
READER(manifest)
READER(directive)
READER(desired)
READER(fit)
READER(payload)
READER(golden)
READER(settings)
READER(ack)
READER(wipe_order)
READER(enrol_reply)
READER(claim_token)

int run_oracle(const char *kind, const struct fields *in) {
    static const struct {
        const char *name;
        uint16_t schema;
        int (*read)(struct dunlin_span bytes);
    } records[] = {{"root", DL_RECORD_ROOT, read_root},
                   {"manifest", DL_RECORD_MANIFEST, read_manifest},
                   {"directive", DL_RECORD_DIRECTIVE, read_directive},
                   {"desired", DL_RECORD_DESIRED, read_desired},
                   {"fit", DL_RECORD_FIT, read_fit},
                   {"payload", DL_RECORD_PAYLOAD, read_payload},
                   {"golden", DL_RECORD_GOLDEN, read_golden},
                   {"settings", DL_RECORD_SETTINGS, read_settings},
                   {"ack", DL_RECORD_ACK, read_ack},
                   {"wipe-order", DL_RECORD_WIPE_ORDER, read_wipe_order},
                   {"enrol-reply", DL_RECORD_ENROL_REPLY, read_enrol_reply},
                   {"claim-token", DL_RECORD_CLAIM_TOKEN, read_claim_token}};
    if (strcmp(kind, "oracle") != 0) {
        return UNKNOWN_KIND;
    }
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        if (strcmp(string(in, "record"), records[i].name) == 0) {
            const int error = dl_schema_check(field(in, "bytes"), 1u << 20, records[i].schema);
            give_number("zcbor", records[i].read(field(in, "bytes")) == 0);
            give_text("rule", dunlin_reason(error));
            return 0;
        }
    }
    return DUNLIN_E_ARGUMENT;
}
