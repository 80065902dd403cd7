/* Peers: which device reaches whose memory.
 *
 * Every pair that is enabled stands in one list, which the registry's lock protects. The driver is called without that lock, so a pair
 * that is about to change is marked, and whoever else wants it waits. A pair holds no device open: whoever closes one of the two
 * ends it first. */
#include "hal/peer.h"

#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/registry.h"

typedef struct peer_pair {
    tarn_device *device, *owner;
    bool is_changing; /* somebody is enabling or disabling it */
    struct peer_pair *next;
} peer_pair;

/* Protected by the registry's lock. */
static peer_pair *pairs;

/* What the backend's answer to `call` means; the sentence is that of `device`. */
#define PEER_CALL(device, table, call, ...) hal_answer(device, (hal_listen(), (table)->call(__VA_ARGS__)), #call)

/* Both with the lock held. */

static peer_pair *find_pair(const tarn_device *device, const tarn_device *owner) {
    peer_pair *pair = pairs;
    while (pair != NULL && !(pair->device == device && pair->owner == owner)) pair = pair->next;
    return pair;
}

static void remove_pair(peer_pair *pair) {
    peer_pair **link = &pairs;
    while (*link != pair) link = &(*link)->next;
    *link = pair->next;
    base_free(pair);
    hal_registry_announce();
}

/* The pair once nobody changes it, or NULL. */
static peer_pair *settled_pair(const tarn_device *device, const tarn_device *owner) {
    for (;;) {
        peer_pair *pair = find_pair(device, owner);
        if (pair == NULL || !pair->is_changing) return pair;
        hal_registry_wait();
    }
}

static tarn_status check_pair(tarn_device *device, tarn_device *owner) {
    if (device == NULL || owner == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device, or the one whose memory it is to reach, is NULL");
    }
    tarn_status status = hal_device_check(device);
    return status == TARN_OK ? hal_device_check(owner) : status;
}

static tarn_status ask_access(tarn_device *device, tarn_device *owner, int *out_can) {
    const tarn_backend_peer *table = hal_peer_table(device, owner);
    int can = 0;
    tarn_status status = TARN_OK;
    if (table != NULL) status = PEER_CALL(device, table, can_access, device->handle, owner->handle, &can);
    if (status == TARN_OK) *out_can = can != 0;
    return status;
}

tarn_status tarn_device_can_access(tarn_device *device, tarn_device *owner, int *out_can) {
    tarn_status status = check_pair(device, owner);
    if (status != TARN_OK) return status;
    if (out_can == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the answer is NULL", device->name);
    if (device != owner) return ask_access(device, owner, out_can);
    *out_can = 1;
    return TARN_OK;
}

static tarn_status check_can_enable(tarn_device *device, tarn_device *owner) {
    int can = 0;
    tarn_status status = ask_access(device, owner, &can);
    if (status != TARN_OK || can) return status;
    return base_fail(TARN_NOT_SUPPORTED, "%s cannot reach the memory of %s", device->name, owner->name);
}

/* Puts a new pair into the list, or finds that it is there. Takes the lock. */
static tarn_status begin_pair(tarn_device *device, tarn_device *owner, peer_pair **out_pair) {
    peer_pair *pair = base_allocate(1, sizeof *pair);
    if (pair == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to remember that it reaches the memory of %s",
                         device->name, owner->name);
    }
    hal_registry_lock();
    *out_pair = NULL;
    if (settled_pair(device, owner) == NULL) {
        *pair = (peer_pair){.device = device, .owner = owner, .is_changing = true, .next = pairs};
        *out_pair = pairs = pair;
    }
    hal_registry_unlock();
    if (*out_pair == NULL) base_free(pair);
    return TARN_OK;
}

tarn_status tarn_device_enable_peer(tarn_device *device, tarn_device *owner) {
    peer_pair *pair = NULL;
    tarn_status status = check_pair(device, owner);
    if (status != TARN_OK || device == owner) return status;
    status = check_can_enable(device, owner);
    if (status == TARN_OK) status = begin_pair(device, owner, &pair);
    if (status != TARN_OK || pair == NULL) return status;
    status = PEER_CALL(device, device->table->peer, enable, device->handle, owner->handle);
    hal_registry_lock();
    pair->is_changing = false;
    if (status == TARN_OK) hal_registry_announce();
    else remove_pair(pair);
    hal_registry_unlock();
    return status;
}

/* Tells the driver that the pair is over, and takes it out of the list. The pair is marked; with the lock held, which is
 * released meanwhile. */
static tarn_status end_pair(tarn_device *device, peer_pair *pair) {
    hal_registry_unlock();
    tarn_status status = TARN_OK;
    if (hal_device_is_ours(device)) {
        status = PEER_CALL(pair->device, pair->device->table->peer, disable, pair->device->handle, pair->owner->handle);
    }
    hal_registry_lock();
    remove_pair(pair);
    return status;
}

tarn_status tarn_device_disable_peer(tarn_device *device, tarn_device *owner) {
    tarn_status status = check_pair(device, owner);
    if (status != TARN_OK || device == owner) return status;
    hal_registry_lock();
    peer_pair *pair = settled_pair(device, owner);
    if (pair != NULL) {
        pair->is_changing = true;
        status = end_pair(device, pair);
    } else {
        status = base_fail(TARN_INVALID_STATE, "%s has no access to the memory of %s that could end", device->name,
                           owner->name);
    }
    hal_registry_unlock();
    return status;
}

/* A pair that the device is in, once nobody changes it; in the child of a fork nobody does. With the lock held. */
static peer_pair *next_pair_of(const tarn_device *device) {
    for (;;) {
        peer_pair *pair = pairs;
        while (pair != NULL && pair->device != device && pair->owner != device) pair = pair->next;
        if (pair == NULL || !pair->is_changing || !hal_device_is_ours(device)) return pair;
        hal_registry_wait();
    }
}

void hal_peers_end(tarn_device *device) {
    hal_registry_lock();
    for (peer_pair *pair; (pair = next_pair_of(device)) != NULL;) {
        pair->is_changing = true;
        (void)end_pair(device, pair); /* the pair is over whatever the driver says, and so is the device */
    }
    hal_registry_unlock();
}
