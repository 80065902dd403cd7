/* One area of shared memory, mapped twice: closed, and open for the backend. Pieces are handed out one behind the other, and the
 * area begins anew when all have come back. */
#include "remote.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tarn/tarn.h>

#define AREA ((size_t)64 << 20)
#define ALIGNMENT ((size_t)256)

struct tarn_backend_device {
    unsigned char *closed, *open;
    size_t used, pieces;
};
struct tarn_backend_stream {
    int unused;
};
struct tarn_backend_event {
    int unused;
};

static struct tarn_backend_stream default_stream;

static tarn_status device_count(int *out_count) {
    *out_count = 1;
    return TARN_OK;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    (void)arguments;
    tarn_backend_device *device = calloc(1, sizeof *device);
    int file = memfd_create("remote", MFD_CLOEXEC);
    if (device == NULL || file < 0 || ftruncate(file, (off_t)AREA) != 0) abort();
    device->closed = mmap(NULL, AREA, PROT_NONE, MAP_SHARED, file, 0);
    device->open = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (device->closed == MAP_FAILED || device->open == MAP_FAILED) abort();
    close(file);
    *out_device = device;
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) {
    munmap(device->closed, AREA);
    munmap(device->open, AREA);
    free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    strcpy(out_properties->name, "remote memory of the tests");
    out_properties->memory_total = AREA;
    out_properties->memory_free = AREA - device->used;
    out_properties->alignment = ALIGNMENT;
    out_properties->maximum_alignment = (size_t)1 << 20;
    out_properties->granule = 0;
    out_properties->compute_units = 1;
    out_properties->features = 0;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED);
    return TARN_OK;
}

static tarn_status nothing_to_wait_for(tarn_backend_device *device) {
    (void)device;
    return TARN_OK;
}

static tarn_status allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                            void **out_address) {
    if (kind == TARN_MEMORY_PINNED) {
        *out_address = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
        return *out_address != NULL ? TARN_OK : TARN_OUT_OF_MEMORY;
    }
    size_t begin = (device->used + alignment - 1) / alignment * alignment;
    if (begin > AREA || size > AREA - begin) return TARN_OUT_OF_MEMORY;
    device->used = begin + size;
    device->pieces++;
    *out_address = device->closed + begin;
    return TARN_OK;
}

static tarn_status give_back(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    (void)size;
    if (kind == TARN_MEMORY_PINNED) free(address);
    else if (--device->pieces == 0) device->used = 0;
    return TARN_OK;
}

static tarn_backend_stream *stream_default(tarn_backend_device *device) {
    (void)device;
    return &default_stream;
}

static tarn_status stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    (void)device;
    *out_stream = calloc(1, sizeof **out_stream);
    return *out_stream != NULL ? TARN_OK : TARN_OUT_OF_MEMORY;
}

static void stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    free(stream);
}

static tarn_status stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    (void)stream;
    return TARN_OK;
}

static tarn_status stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                        tarn_host_function function, void *context) {
    (void)device;
    (void)stream;
    function(context);
    return TARN_OK;
}

/* Where the backend gets at an address of its own or of the host's. */
static unsigned char *reach(const tarn_backend_device *device, const void *address) {
    size_t offset = (size_t)((uintptr_t)address - (uintptr_t)device->closed);
    return offset < AREA ? device->open + offset : (unsigned char *)(uintptr_t)address;
}

static tarn_status stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size) {
    (void)stream;
    memcpy(reach(device, destination), reach(device, source), size);
    return TARN_OK;
}

static tarn_status stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size) {
    (void)stream;
    for (size_t i = 0; i < size; i += pattern_size) memcpy(reach(device, destination) + i, pattern, pattern_size);
    return TARN_OK;
}

static tarn_status stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    (void)device;
    (void)stream;
    (void)event;
    return TARN_OK;
}

static tarn_status event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    (void)device;
    *out_event = calloc(1, sizeof **out_event);
    return *out_event != NULL ? TARN_OK : TARN_OUT_OF_MEMORY;
}

static void event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    free(event);
}

static tarn_status event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    (void)device;
    (void)event;
    (void)stream;
    return TARN_OK;
}

static tarn_status event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    (void)device;
    (void)event;
    *out_complete = 1;
    return TARN_OK;
}

static tarn_status event_synchronize(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    (void)event;
    return TARN_OK;
}

static tarn_status event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                                 int64_t *out_nanoseconds) {
    (void)device;
    (void)begin;
    (void)end;
    *out_nanoseconds = 0;
    return TARN_OK;
}

static const tarn_backend table = {
    .abi_version = TARN_BACKEND_ABI_VERSION,
    .struct_size = sizeof(tarn_backend),
    .name = "remote",
    .type = TARN_DEVICE_OTHER,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = nothing_to_wait_for,
    .memory_allocate = allocate,
    .memory_free = give_back,
    .stream_default = stream_default,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronize = stream_synchronize,
    .stream_host_function = stream_host_function,
    .stream_copy = stream_copy,
    .stream_fill = stream_fill,
    .stream_wait = stream_wait,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_query = event_query,
    .event_synchronize = event_synchronize,
    .event_elapsed = event_elapsed,
};

void remote_install(void) {
    static bool is_installed;
    if (!is_installed && tarn_backend_register(&table) != TARN_OK) abort();
    is_installed = true;
}
