/* What PyTorch calls, and what others may ask beside it; see torch.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "torch/state.h"

static _Thread_local char reason[512];

const char *tarn_torch_last_error(void) { return reason; }

tarn_status torch_fail(tarn_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return status;
}

tarn_status torch_answer(tarn_status status) {
    return status == TARN_OK ? TARN_OK : torch_fail(status, "%s", tarn_last_error());
}

void torch_complain(const char *format, ...) {
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    fprintf(stderr, "tarn-torch: %s\n", sentence);
}

/* Allocating. */

/* Without an address by the short way of the library. */
static tarn_status ask(tarn_allocator *allocator, size_t size, const tarn_allocate_options *options,
                       tarn_buffer **out_buffer) {
    if (options->address == NULL) return tarn_allocator_allocate(allocator, size, options->stream, out_buffer);
    return tarn_allocator_allocate_with(allocator, size, options, out_buffer);
}

/* From the pool that the request is for, or else the device's allocator, or else a pool that serves what fails there. */
static tarn_status take(torch_device *device, void *native, size_t size, const tarn_allocate_options *options,
                        tarn_torch_pool_id *out_pool, tarn_buffer **out_buffer) {
    torch_pool *pool = torch_pool_begin(device, native);
    bool is_anywhere = pool == NULL && options->address == NULL;
    tarn_allocator *from = pool != NULL ? pool->allocator : device->allocator;
    tarn_status status = torch_answer(ask(from, size, options, out_buffer));
    if (is_anywhere && (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED)) {
        pool = torch_pool_begin_for_failure(device, size);
        /* The sentence stays that of the first failure. */
        if (pool != NULL && ask(pool->allocator, size, options, out_buffer) == TARN_OK) status = TARN_OK;
    }
    *out_pool = pool != NULL ? pool->id : (tarn_torch_pool_id){0, 0};
    torch_pool_end(device, pool);
    return status;
}

tarn_status torch_hand_out(torch_device *device, tarn_buffer *buffer, void *native, tarn_torch_pool_id pool,
                           void **out_pointer) {
    void *pointer = tarn_buffer_data(buffer);
    size_t size = tarn_buffer_size(buffer);
    if (!torch_pointers_add(pointer, buffer)) {
        (void)tarn_buffer_free(buffer, NULL);
        return torch_fail(TARN_OUT_OF_MEMORY, "no host memory to remember an address");
    }
    torch_count_allocation(device, size, tarn_buffer_capacity(buffer));
    torch_look(device);
    tarn_torch_event event = {.action = TARN_TORCH_ALLOC,
                              .device = device->number,
                              .address = (uintptr_t)pointer,
                              .size = size,
                              .stream = native,
                              .pool = pool};
    torch_tell(&event);
    *out_pointer = pointer;
    return TARN_OK;
}

static tarn_status allocate(torch_device *device, size_t size, void *native, const void *address, void **out_pointer) {
    tarn_allocate_options options = {.struct_size = sizeof options, .address = address};
    tarn_torch_pool_id pool;
    tarn_buffer *buffer;
    tarn_status status = torch_stream_of(device, native, &options.stream);
    if (status == TARN_OK) status = take(device, native, size, &options, &pool, &buffer);
    return status == TARN_OK ? torch_hand_out(device, buffer, native, pool, out_pointer) : status;
}

static tarn_status open_and_allocate(size_t size, int number, void *stream, const void *address, void **out_pointer) {
    torch_device *device;
    tarn_status status = torch_device_open(number, &device);
    if (status != TARN_OK) return status;
    int mode = torch_capture_mode_relax(device);
    status = allocate(device, size, stream, address, out_pointer);
    torch_capture_mode_restore(mode);
    return status;
}

tarn_status tarn_torch_allocate(size_t size, int number, void *stream, void **out_pointer) {
    return open_and_allocate(size, number, stream, NULL, out_pointer);
}

tarn_status tarn_torch_allocate_at(size_t size, int number, void *stream, void *address) {
    void *pointer;
    if (address == NULL) return torch_fail(TARN_INVALID_ARGUMENT, "there is no memory at NULL");
    return open_and_allocate(size, number, stream, address, &pointer);
}

void *tarn_torch_malloc(size_t size, int device, void *stream) {
    void *pointer = NULL;
    if (size == 0) return NULL;
    tarn_status status = tarn_torch_allocate(size, device, stream, &pointer);
    if (status == TARN_OK) return pointer;
    tarn_torch_count_failure(device);
    torch_complain("device %d: no memory for %zu bytes: %s: %s", device, size, tarn_status_name(status),
                   tarn_torch_last_error());
    const char *on_failure = getenv("TARN_TORCH_ON_FAILURE");
    if (on_failure != NULL && strcmp(on_failure, "abort") == 0) abort();
    return NULL;
}

/* Freeing. */

torch_device *torch_device_of(const tarn_buffer *buffer) {
    const tarn_device *wanted = tarn_buffer_device(buffer);
    for (int i = 0; i < TORCH_DEVICES; i++) {
        torch_device *device = torch_device_known(i);
        if (device != NULL && device->device == wanted) return device;
    }
    return NULL;
}

static tarn_torch_pool_id name_pool(torch_device *device, const tarn_allocator *owner) {
    if (atomic_load_explicit(&device->pool_count, memory_order_relaxed) == 0) return (tarn_torch_pool_id){0, 0};
    pthread_mutex_lock(&device->lock);
    tarn_torch_pool_id name = torch_pool_name(device, owner);
    pthread_mutex_unlock(&device->lock);
    return name;
}

void torch_free_buffer(torch_device *device, tarn_buffer *buffer, void *native, bool is_shared) {
    tarn_stream *stream = NULL; /* the one that it was allocated for, where this one cannot be had */
    (void)torch_stream_of(device, native, &stream);
    const tarn_allocator *owner = tarn_buffer_allocator(buffer);
    tarn_torch_event event = {.action = TARN_TORCH_FREE_REQUESTED,
                              .device = device->number,
                              .address = (uintptr_t)tarn_buffer_data(buffer),
                              .size = tarn_buffer_size(buffer),
                              .stream = native};
    if (torch_is_watched()) event.pool = name_pool(device, owner);
    torch_count_free(device, event.size, tarn_buffer_capacity(buffer), is_shared);
    torch_tell(&event);
    /* Told before it takes place, since another thread may get the memory at once. */
    event.action = TARN_TORCH_FREE_COMPLETED;
    if (is_shared && torch_pool_put_off(device, buffer, stream, &event)) return;
    torch_tell(&event);
    int mode = torch_capture_mode_relax(device);
    tarn_status status = tarn_buffer_free(buffer, stream);
    torch_capture_mode_restore(mode);
    if (status != TARN_OK) torch_complain("device %d: freeing: %s", device->number, tarn_last_error());
    torch_pool_tend(device, owner);
    torch_look(device);
}

void tarn_torch_free(void *pointer, size_t size, int number, void *stream) {
    (void)size;
    bool is_shared = false;
    if (pointer == NULL) return;
    tarn_buffer *buffer = torch_pointers_remove(pointer, &is_shared);
    torch_device *device = torch_device_known(number);
    if (buffer != NULL && (device == NULL || device->device != tarn_buffer_device(buffer)))
        device = torch_device_of(buffer);
    if (buffer == NULL || device == NULL) {
        torch_complain("device %d: %p is no live address of the plug-in's, and is not freed", number, pointer);
        return;
    }
    torch_close_share(pointer);
    torch_free_buffer(device, buffer, stream, is_shared);
}

/* Hooks. */

/* Devices are opened when they are first asked for: a process may use fewer than it sees. */
void tarn_torch_init(int device_count) {
    if (device_count > TORCH_DEVICES) {
        torch_complain("PyTorch has %d devices; the plug-in serves the first %d", device_count, TORCH_DEVICES);
    }
}

void tarn_torch_reset(void) {
    for (int i = 0; i < TORCH_DEVICES; i++) {
        torch_device *device = torch_device_known(i);
        if (device == NULL) continue;
        int mode = torch_capture_mode_relax(device);
        tarn_status status = tarn_allocator_empty_cache(device->allocator);
        torch_capture_mode_restore(mode);
        if (status != TARN_OK) torch_complain("device %d: emptying the cache: %s", i, tarn_last_error());
        torch_look(device);
    }
}

void tarn_torch_memory_fraction(double fraction, int number) {
    if (!(fraction > 0 && fraction <= 1)) {
        torch_complain("device %d: a memory fraction of %g is not above 0 and at most 1", number, fraction);
        return;
    }
    torch_device *device;
    tarn_device_properties properties = {.struct_size = sizeof properties};
    tarn_status status = torch_device_open(number, &device);
    if (status == TARN_OK) status = torch_answer(tarn_device_properties_get(device->device, &properties));
    if (status == TARN_OK) {
        double bytes = fraction * (double)properties.memory_total;
        status = torch_answer(tarn_allocator_set_limit(device->allocator, (size_t)bytes));
    }
    if (status != TARN_OK) torch_complain("device %d: no memory fraction is set: %s", number, tarn_torch_last_error());
}

/* A segment, while blocks are looked at one after the other. */
typedef struct segment_search {
    uint64_t segment, begin, end;
} segment_search;

static int add_block(void *context, const tarn_block_info *block) {
    segment_search *search = context;
    if (block->segment != search->segment || block->state == TARN_BLOCK_UNMAPPED) return 0;
    if (search->end == 0 || block->address < search->begin) search->begin = block->address;
    if (block->address + block->size > search->end) search->end = block->address + block->size;
    return 0;
}

typedef struct block_search {
    uint64_t address, segment;
    int is_found;
} block_search;

static int find_block(void *context, const tarn_block_info *block) {
    block_search *search = context;
    if (search->address - block->address >= block->size || block->state == TARN_BLOCK_UNMAPPED) return 0;
    search->segment = block->segment;
    return search->is_found = 1;
}

void *tarn_torch_base_allocation(void *pointer, size_t *out_size) {
    tarn_buffer *buffer = torch_pointers_find(pointer);
    tarn_allocator *owner = buffer != NULL ? tarn_buffer_allocator(buffer) : NULL;
    block_search block = {.address = (uint64_t)(uintptr_t)pointer};
    if (owner == NULL || tarn_allocator_each_block(owner, find_block, &block) != TARN_OK || !block.is_found)
        return NULL;
    segment_search search = {.segment = block.segment};
    if (tarn_allocator_each_block(owner, add_block, &search) != TARN_OK) return NULL;
    if (out_size != NULL) *out_size = (size_t)(search.end - search.begin);
    return (void *)(uintptr_t)search.begin; /* NOLINT(performance-no-int-to-ptr) */
}

void tarn_torch_record_stream(void *pointer, void *native) {
    tarn_buffer *buffer = pointer != NULL ? torch_pointers_find(pointer) : NULL;
    torch_device *device = buffer != NULL ? torch_device_of(buffer) : NULL;
    tarn_stream *stream = NULL;
    if (device == NULL) {
        if (pointer != NULL) torch_complain("%p is no live address of the plug-in's to record a stream for", pointer);
        return;
    }
    tarn_status status = torch_stream_of(device, native, &stream);
    if (status == TARN_OK && !torch_pointers_share(pointer)) {
        status = torch_fail(TARN_OUT_OF_MEMORY, "no host memory to remember it");
    }
    if (status == TARN_OK) status = torch_answer(tarn_buffer_record_stream(buffer, stream));
    if (status != TARN_OK) {
        torch_complain("device %d: a stream that uses %p is not recorded: %s", device->number, pointer,
                       tarn_torch_last_error());
    }
}

/* For those who ask. */

tarn_allocator *tarn_torch_allocator(int number) {
    torch_device *device;
    return torch_device_open(number, &device) == TARN_OK ? device->allocator : NULL;
}

tarn_stream *tarn_torch_stream(int number, void *native) {
    torch_device *device = torch_device_known(number);
    tarn_stream *stream = NULL;
    return device != NULL && torch_stream_of(device, native, &stream) == TARN_OK ? stream : NULL;
}
