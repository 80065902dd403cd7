/* The drivers. What a pointer of "apart" shows is the memory turned over, so that a host that reads it directly reads something else. */
#include "apart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

struct tarn_backend_stream {
    int unused;
};
struct tarn_backend_event {
    int unused;
};
struct tarn_backend_device {
    bool is_apart;
    tarn_backend_stream stream;
};

/* Where device memory of "apart" lies; its bytes are kept inverted. */
typedef struct region {
    struct region *next;
    uintptr_t begin;
    size_t size;
} region;

static region *regions;
static unsigned long calls, failing, copies;

void apart_fail_at(unsigned long n) {
    calls = 0;
    failing = n;
}

unsigned long apart_calls(void) { return calls; }

unsigned long apart_copies(void) { return copies; }

static tarn_status call(void) { return ++calls == failing ? TARN_INTERNAL : TARN_OK; }

static bool is_inverted(const void *address) {
    for (const region *at = regions; at != NULL; at = at->next)
        if ((uintptr_t)address - at->begin < at->size) return true;
    return false;
}

static tarn_status count_devices(int *out_count) {
    *out_count = 1;
    return TARN_OK;
}

static tarn_status open_apart(const char *arguments, tarn_backend_device **out_device) {
    (void)arguments;
    *out_device = calloc(1, sizeof **out_device);
    (*out_device)->is_apart = true;
    return TARN_OK;
}

static tarn_status open_beside(const char *arguments, tarn_backend_device **out_device) {
    tarn_status status = open_apart(arguments, out_device);
    (*out_device)->is_apart = false;
    return status;
}

static void close_device(tarn_backend_device *device) { free(device); }

static tarn_status properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    out_properties->memory_total = out_properties->memory_free = 1u << 30;
    out_properties->alignment = 64;
    out_properties->maximum_alignment = 4096;
    out_properties->compute_units = 1;
    out_properties->features = device->is_apart ? 0 : TARN_FEATURE_HOST_ACCESS;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED);
    return TARN_OK;
}

static tarn_status synchronize(tarn_backend_device *device) {
    (void)device;
    return call();
}

static tarn_status allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                            void **out_address) {
    if (call() != TARN_OK) return TARN_OUT_OF_MEMORY;
    void *address = aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
    if (address == NULL) return TARN_OUT_OF_MEMORY;
    if (device->is_apart && kind == TARN_MEMORY_DEVICE) {
        region *added = calloc(1, sizeof *added);
        *added = (region){.next = regions, .begin = (uintptr_t)address, .size = size};
        regions = added;
    }
    *out_address = address;
    return TARN_OK;
}

static tarn_status give_back(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    (void)device;
    (void)kind;
    (void)size;
    for (region **at = &regions; *at != NULL; at = &(*at)->next) {
        region *found = *at;
        if (found->begin != (uintptr_t)address) continue;
        *at = found->next;
        free(found);
        break;
    }
    free(address);
    return TARN_OK;
}

static tarn_backend_stream *default_stream(tarn_backend_device *device) { return &device->stream; }

static tarn_status create_stream(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    (void)device;
    *out_stream = calloc(1, sizeof **out_stream);
    return TARN_OK;
}

static void destroy_stream(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    free(stream);
}

static tarn_status synchronize_stream(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    (void)stream;
    return call();
}

static tarn_status run(tarn_backend_device *device, tarn_backend_stream *stream, tarn_host_function function,
                       void *context) {
    (void)device;
    (void)stream;
    if (call() != TARN_OK) return TARN_INTERNAL;
    function(context);
    return TARN_OK;
}

static tarn_status copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination, const void *source,
                        size_t size) {
    (void)device;
    (void)stream;
    if (call() != TARN_OK) return TARN_INTERNAL;
    copies++;
    unsigned char turned = is_inverted(destination) != is_inverted(source) ? 0xff : 0;
    for (size_t i = 0; i < size; i++) ((unsigned char *)destination)[i] = ((const unsigned char *)source)[i] ^ turned;
    return TARN_OK;
}

static tarn_status fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                        const void *pattern, size_t pattern_size, size_t size) {
    (void)device;
    (void)stream;
    if (call() != TARN_OK) return TARN_INTERNAL;
    unsigned char turned = is_inverted(destination) ? 0xff : 0;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)destination)[i] = ((const unsigned char *)pattern)[i % pattern_size] ^ turned;
    return TARN_OK;
}

static tarn_status wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    (void)device;
    (void)stream;
    (void)event;
    return call();
}

static tarn_status create_event(tarn_backend_device *device, tarn_backend_event **out_event) {
    (void)device;
    if (call() != TARN_OK) return TARN_INTERNAL;
    *out_event = calloc(1, sizeof **out_event);
    return TARN_OK;
}

static void destroy_event(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    free(event);
}

static tarn_status record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    (void)event;
    return wait(device, stream, NULL);
}

static tarn_status query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    (void)device;
    (void)event;
    *out_complete = 1;
    return TARN_OK;
}

static tarn_status synchronize_event(tarn_backend_device *device, tarn_backend_event *event) {
    (void)event;
    return synchronize(device);
}

static tarn_status elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                           int64_t *out_nanoseconds) {
    (void)device;
    (void)begin;
    (void)end;
    *out_nanoseconds = 0;
    return TARN_OK;
}

#define TABLE(name_, open)                                                                                             \
    {                                                                                                                  \
        .abi_version = TARN_BACKEND_ABI_VERSION, .struct_size = sizeof(tarn_backend), .name = (name_),                 \
        .type = TARN_DEVICE_OTHER, .device_count = count_devices, .device_open = (open), .device_close = close_device, \
        .device_properties = properties, .device_synchronize = synchronize, .memory_allocate = allocate,               \
        .memory_free = give_back, .stream_default = default_stream, .stream_create = create_stream,                    \
        .stream_destroy = destroy_stream, .stream_synchronize = synchronize_stream, .stream_host_function = run,       \
        .stream_copy = copy, .stream_fill = fill, .stream_wait = wait, .event_create = create_event,                   \
        .event_destroy = destroy_event, .event_record = record, .event_query = query,                                  \
        .event_synchronize = synchronize_event, .event_elapsed = elapsed                                               \
    }

static const tarn_backend tables[] = {TABLE("apart", open_apart), TABLE("beside", open_beside)};

void apart_install(void) {
    static bool is_installed;
    for (size_t i = 0; i < 2 && !is_installed; i++) assert_int_equal(tarn_backend_register(&tables[i]), TARN_OK);
    is_installed = true;
}
