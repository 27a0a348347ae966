/* The contract's numbers as the core needs them: contract/dunlin.cddl, contract/SPEC.md. A test compares the two. */
#ifndef DUNLIN_CONTRACT_H
#define DUNLIN_CONTRACT_H

#include <stddef.h>
#include <stdint.h>

/* Caps of messages, bytes; smaller than the contract's where a microcontroller may (SPEC, "Microcontrollers").
 * The vector tests raise them to the contract's own. */
#ifndef DUNLIN_MANIFEST_BYTES
#define DUNLIN_MANIFEST_BYTES 4096
#endif
#ifndef DUNLIN_DIRECTIVE_BYTES
#define DUNLIN_DIRECTIVE_BYTES 4096
#endif
#ifndef DUNLIN_ROOT_BYTES
#define DUNLIN_ROOT_BYTES 4096
#endif
#ifndef DUNLIN_WIPE_BYTES
#define DUNLIN_WIPE_BYTES 1024
#endif
#ifndef DUNLIN_ENROL_BYTES
#define DUNLIN_ENROL_BYTES 4352 /* an enrolment reply: a root envelope and a little around it */
#endif
#define DUNLIN_SETTINGS_BYTES 1024
#define DUNLIN_ACK_BYTES 512
#define DUNLIN_GRANT_BYTES 512

#ifndef DUNLIN_PAYLOADS
#define DUNLIN_PAYLOADS 4 /* payloads of the variant that this device takes */
#endif
#define DUNLIN_INDEX_PAGES 4
#define DUNLIN_TENSORS 4 /* inputs, and outputs, of a model */

#define DUNLIN_DIGEST 32
#define DUNLIN_ID 16
#define DUNLIN_KID 8
#define DUNLIN_SPKI 91
#define DUNLIN_POINT 65
#define DUNLIN_SIGNATURE 64
#define DUNLIN_TAG 16
#define DUNLIN_CEK 32
#define DUNLIN_CHUNK 4096
#define DUNLIN_PAGE_LEAVES 4096
#define DUNLIN_NAME 32
#define DUNLIN_DEVICE 36

#define DUNLIN_LINK_VERSION 1
#define DUNLIN_LINK_BODY 256
#define DUNLIN_LINK_LINE 263 /* a frame on the line, delimiter included */
#define DUNLIN_LINK_DATA 240
#define DUNLIN_LINK_WINDOW 1024

/* Bytes somewhere else: not owned, not terminated. */
struct dunlin_span {
    const uint8_t *data;
    size_t size;
};

#endif
