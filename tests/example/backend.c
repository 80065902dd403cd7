/* The smallest backend that is one: memory of the host, as if it were a device's, and streams that do everything at once, on the thread that
 * asks. docs/writing-a-backend.md walks through it. It includes tarn/backend.h and nothing else of Tarn. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tarn/backend.h>

/* So small a backend has no use for much of what it gets. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define CAPACITY ((uint64_t)8 << 30)
#define ALIGNMENT ((size_t)64)

struct tarn_backend_stream {
    int unused; /* work is done when it is enqueued: there is nothing to remember */
};

struct tarn_backend_event {
    int64_t time_ns; /* of the latest record */
};

struct tarn_backend_device {
    _Atomic uint64_t used; /* bytes */
    tarn_backend_stream default_stream;
};

static const tarn_backend_host *host;

/* The beginning and the end. */

static tarn_status start(const tarn_backend_host *offered) {
    host = offered;
    return TARN_OK;
}

static tarn_status device_count(int *out_count) {
    *out_count = 1;
    return TARN_OK;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    /* There is one, "example" or "example:0". */
    if (*arguments != '\0' && strcmp(arguments, "0") != 0)
        return host->fail(TARN_NOT_FOUND, "there is no device \"%s\"", arguments);
    tarn_backend_device *device = calloc(1, sizeof *device);
    if (device == NULL) return host->fail(TARN_OUT_OF_MEMORY, "no host memory for the device");
    *out_device = device;
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) { free(device); }

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    strcpy(out_properties->name, "an example");
    out_properties->memory_total = CAPACITY;
    out_properties->memory_free = CAPACITY - atomic_load(&device->used);
    out_properties->alignment = ALIGNMENT;
    out_properties->maximum_alignment = (size_t)1 << 20;
    out_properties->compute_units = 1;
    out_properties->features = TARN_FEATURE_HOST_ACCESS;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE);
    return TARN_OK;
}

static tarn_status device_synchronize(tarn_backend_device *device) { return TARN_OK; }

/* Memory. */

static tarn_status memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                   void **out_address) {
    if (size > CAPACITY || atomic_fetch_add(&device->used, size) > CAPACITY - size) {
        if (size <= CAPACITY) atomic_fetch_sub(&device->used, size);
        return host->fail(TARN_OUT_OF_MEMORY, "%zu bytes asked, of a capacity of %llu", size,
                          (unsigned long long)CAPACITY);
    }
    void *address = aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
    if (address == NULL) {
        atomic_fetch_sub(&device->used, size);
        return host->fail(TARN_OUT_OF_MEMORY, "the host has no %zu bytes", size);
    }
    *out_address = address;
    return TARN_OK;
}

static tarn_status memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    free(address);
    atomic_fetch_sub(&device->used, size);
    return TARN_OK;
}

/* Streams. */

static tarn_backend_stream *stream_default(tarn_backend_device *device) { return &device->default_stream; }

static tarn_status stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    tarn_backend_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return host->fail(TARN_OUT_OF_MEMORY, "no host memory for a stream");
    *out_stream = stream;
    return TARN_OK;
}

static void stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) { free(stream); }

static tarn_status stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) { return TARN_OK; }

static tarn_status stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                        tarn_host_function function, void *context) {
    function(context);
    return TARN_OK;
}

static tarn_status stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size) {
    memcpy(destination, source, size);
    return TARN_OK;
}

static tarn_status stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size) {
    for (size_t i = 0; i < size; i += pattern_size) memcpy((char *)destination + i, pattern, pattern_size);
    return TARN_OK;
}

/* Events. */

static tarn_status stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    return TARN_OK;
}

static tarn_status event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    tarn_backend_event *event = calloc(1, sizeof *event);
    if (event == NULL) return host->fail(TARN_OUT_OF_MEMORY, "no host memory for an event");
    *out_event = event;
    return TARN_OK;
}

static void event_destroy(tarn_backend_device *device, tarn_backend_event *event) { free(event); }

static tarn_status event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return TARN_OK;
}

static tarn_status event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    *out_complete = 1;
    return TARN_OK;
}

static tarn_status event_synchronize(tarn_backend_device *device, tarn_backend_event *event) { return TARN_OK; }

static tarn_status event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                                 int64_t *out_nanoseconds) {
    *out_nanoseconds = end->time_ns - begin->time_ns;
    return TARN_OK;
}

TARN_API extern const tarn_backend tarn_backend_table;
const tarn_backend tarn_backend_table = {
    TARN_BACKEND_ABI_VERSION,
    sizeof(tarn_backend),
    .name = "example",
    .type = TARN_DEVICE_OTHER,
    .start = start,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = device_synchronize,
    .memory_allocate = memory_allocate,
    .memory_free = memory_free,
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
