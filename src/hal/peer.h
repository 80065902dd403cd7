/* Which devices have been given access to whose memory. */
#ifndef HAL_PEER_H
#define HAL_PEER_H

#include "hal/types.h"

/* The functions that the backend of both devices has for devices of its own; NULL where they are of two backends, or it has none. */
static inline const tarn_backend_peer *hal_peer_table(const tarn_device *device, const tarn_device *other) {
    return device->backend == other->backend ? device->table->peer : NULL;
}

/* Ends all access of the device, and to it, before it is closed; nobody holds it any more. */
void hal_peers_end(tarn_device *device);

#endif
