/* The paired devices: the scripted backend with memory that is really copied, two other devices' worth of it. */
#include "pair.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/box.h"
#include "check.h"
#include "scripted.h"

pair_behaviour pair;

/* Which way access is enabled, in pairs of handles. */
#define MOST_PAIRS 8
static struct { tarn_backend_device *device, *owner; } enabled[MOST_PAIRS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects that, and the counts */

static tarn_status can_access(tarn_backend_device *device, tarn_backend_device *owner, int *out_can) {
    (void)device, (void)owner;
    if (pair.ask != TARN_OK) return pair.ask;
    *out_can = !pair.is_refused;
    return TARN_OK;
}

/* The place of a pair, or of an empty one; -1 where there is none. */
static int place_of(const tarn_backend_device *device, const tarn_backend_device *owner) {
    for (int i = 0; i < MOST_PAIRS; i++)
        if (enabled[i].device == device && enabled[i].owner == owner) return i;
    return -1;
}

static tarn_status enable(tarn_backend_device *device, tarn_backend_device *owner) {
    if (pair.enable != TARN_OK) return pair.enable;
    pthread_mutex_lock(&lock);
    if (place_of(device, owner) >= 0) pair.violations++;
    int place = place_of(NULL, NULL);
    enabled[place].device = device;
    enabled[place].owner = owner;
    pair.enables++;
    pthread_mutex_unlock(&lock);
    return TARN_OK;
}

static tarn_status disable(tarn_backend_device *device, tarn_backend_device *owner) {
    pthread_mutex_lock(&lock);
    int place = place_of(device, owner);
    if (place < 0) pair.violations++;
    else enabled[place].device = enabled[place].owner = NULL;
    pair.disables++;
    pthread_mutex_unlock(&lock);
    return pair.disable;
}

static tarn_status copy_across(tarn_backend_stream *stream, tarn_backend_device *destination_device, void *destination,
                               tarn_backend_device *source_device, const void *source, size_t size) {
    if (stream == NULL || destination_device == source_device) pair.violations++;
    if (pair.copy != TARN_OK) return pair.copy;
    memcpy(destination, source, size);
    pair.peer_copies++;
    return TARN_OK;
}

/* A box as backends get it: two rows at least, none of which could be joined to the next. */
static tarn_status move_box(void *destination, const void *source, const tarn_box *box) {
    if (box->width == 0 || box->height < 2 || box->depth == 0) pair.violations++;
    if (box->destination_row_pitch == box->width && box->source_row_pitch == box->width) pair.violations++;
    base_box_copy(destination, source, box);
    return TARN_OK;
}

static tarn_status copy_box_across(tarn_backend_stream *stream, tarn_backend_device *destination_device,
                                   void *destination, tarn_backend_device *source_device, const void *source,
                                   const tarn_box *box) {
    if (stream == NULL || destination_device == source_device) pair.violations++;
    if (pair.copy_box != TARN_OK) return pair.copy_box;
    pair.peer_boxes++;
    return move_box(destination, source, box);
}

static tarn_status wait_across(tarn_backend_stream *stream, tarn_backend_device *owner, tarn_backend_event *event) {
    if (stream == NULL || owner == NULL || event == NULL) pair.violations++;
    if (pair.wait == TARN_OK) pair.peer_waits++;
    return pair.wait;
}

static const tarn_backend_peer whole = {
    .struct_size = sizeof whole,
    .can_access = can_access,
    .enable = enable,
    .disable = disable,
    .copy = copy_across,
    .wait = wait_across,
    .copy_box = copy_box_across,
};

/* As long as the table was before it had boxes; what follows is somebody else's. */
static const tarn_backend_peer older = {
    .struct_size = offsetof(tarn_backend_peer, copy_box),
    .can_access = can_access,
    .enable = enable,
    .disable = disable,
    .copy = copy_across,
    .wait = wait_across,
    .copy_box = copy_box_across,
};

/* Without what is optional. */
static const tarn_backend_peer plain = {
    .struct_size = sizeof plain, .can_access = can_access, .enable = enable, .disable = disable};

static tarn_status properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    tarn_status status = scripted_table("pair").device_properties(device, out_properties);
    out_properties->memory_kinds |= TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED);
    out_properties->features |= TARN_FEATURE_PEER_ACCESS;
    return status;
}

/* The bytes are moved when the command is given: the streams of these devices are idle whenever they are asked for something. */
static tarn_status stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size) {
    (void)device, (void)stream;
    if (pair.stream_copy != TARN_OK) return pair.stream_copy;
    memcpy(destination, source, size);
    pair.copies++;
    return TARN_OK;
}

static tarn_status stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                   const void *source, const tarn_box *box) {
    (void)device, (void)stream;
    if (pair.stream_copy_box != TARN_OK) return pair.stream_copy_box;
    pair.boxes++;
    return move_box(destination, source, box);
}

void pair_reset(void) {
    scripted_reset();
    memset(&pair, 0, sizeof pair);
}

void pair_install(void) {
    static tarn_backend tables[4];
    static const char *const names[4] = {"pair", "boxless", "plain", "alone"};
    static const tarn_backend_peer *const peers[4] = {&whole, &older, &plain, NULL};
    static bool is_installed;
    pair_reset();
    for (int i = 0; i < 4 && !is_installed; i++) {
        tables[i] = scripted_table(names[i]);
        tables[i].device_properties = properties;
        tables[i].stream_copy = stream_copy;
        if (i == 0) tables[i].stream_copy_box = stream_copy_box;
        tables[i].peer = peers[i];
        assert_ok(tarn_backend_register(&tables[i]));
    }
    is_installed = true;
}
