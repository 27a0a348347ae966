/* What the world is made of: a line, a gateway, a server, a board, and the fixture they have their bytes from. */
#ifndef WORLD_PARTS_H
#define WORLD_PARTS_H

#include "world.h"

/* The line: bytes go into one end and come out of the other, some damaged as `world.noise` says. */
extern const struct dunlin_pipe world_pipe; /* the device's end */
void world_line_send(const uint8_t *data, size_t size); /* the gateway's end */
bool world_line_take(uint8_t *byte);
void world_line_clear(void);

/* The gateway: `start` on a new device, `boot` when the device boots, `step` to hear and answer. */
void world_gateway_start(void);
void world_gateway_boot(void);
void world_gateway_step(void);

/* The server: acknowledges a signed event, by an offer of the gateway. */
void world_acknowledge(const uint8_t *event, size_t size);

/* The board, and what its flash calls. */
extern const struct dunlin_board world_board;
void world_power_cut(void *ctx);
void world_flash_fault(void *ctx, const char *what, uint32_t offset);

/* The fixture: its folder, its objects by name (empty with NULL data if there is none), the device's keys. */
void world_fixture(const char *folder);
void world_load_objects(void);
struct dunlin_span world_object(const uint8_t *name);
void world_import_keys(void);

#endif
