/* The fake backend: handles are malloc'ed, streams run everything at once. */
#include "fake.h"

#include <stdlib.h>

struct tarn_backend_device {
    int opened;
};
struct tarn_backend_stream {
    int work;
};
struct tarn_backend_event {
    int recorded;
};

fake_behaviour fake;
fake_counts fake_calls;

static const tarn_backend_host *fake_host;
static struct tarn_backend_stream default_stream;

void fake_reset(void) {
    fake = (fake_behaviour){.alignment = 64, .maximum_alignment = 4096};
    fake_calls = (fake_counts){.starts = 0};
}

static void count(int *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

static tarn_status answer(tarn_status status) {
    if (status == TARN_OK || !fake.explains) return status;
    return fake_host->fail(status, "the fake was told to fail");
}

static tarn_status start(const tarn_backend_host *host) {
    fake_host = host;
    count(&fake_calls.starts);
    if (fake.during_start != NULL) fake.during_start();
    return answer(fake.start);
}

static void stop(void) { count(&fake_calls.stops); }

static tarn_status device_count(int *out_count) {
    *out_count = 2;
    return TARN_OK;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    (void)arguments;
    count(&fake_calls.opens);
    if (fake.during_open != NULL) fake.during_open();
    if (fake.open != TARN_OK) return answer(fake.open);
    if (!fake.opens_nothing) *out_device = calloc(1, sizeof **out_device);
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) {
    count(&fake_calls.closes);
    free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    (void)device;
    out_properties->memory_total = 1 << 20;
    out_properties->memory_free = 1 << 20;
    out_properties->alignment = fake.alignment;
    out_properties->maximum_alignment = fake.maximum_alignment;
    out_properties->granule = fake.granule;
    out_properties->features = fake.features;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE);
    return TARN_OK;
}

static tarn_status device_synchronize(tarn_backend_device *device) {
    (void)device;
    count(&fake_calls.synchronizes);
    return TARN_OK;
}

static tarn_status memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                   void **out_address) {
    (void)device;
    (void)kind;
    count(&fake_calls.allocates);
    if (fake.allocate != TARN_OK) return answer(fake.allocate);
    if (fake.gives_null) return TARN_OK;
    *out_address =
        fake.address != NULL ? fake.address : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    return TARN_OK;
}

static tarn_status memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    (void)device;
    (void)kind;
    (void)size;
    count(&fake_calls.frees);
    if (fake.free != TARN_OK) return answer(fake.free);
    if (fake.address == NULL) free(address);
    return TARN_OK;
}

static tarn_backend_stream *stream_default(tarn_backend_device *device) {
    (void)device;
    return &default_stream;
}

static tarn_status stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    (void)device;
    *out_stream = calloc(1, sizeof **out_stream);
    return TARN_OK;
}

static void stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    count(&fake_calls.stream_destroys);
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

static tarn_status stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size) {
    (void)device;
    (void)stream;
    (void)destination;
    (void)source;
    (void)size;
    return TARN_OK;
}

static tarn_status stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size) {
    (void)device;
    (void)stream;
    (void)destination;
    (void)pattern;
    (void)pattern_size;
    (void)size;
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
    return TARN_OK;
}

static void event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    count(&fake_calls.event_destroys);
    free(event);
}

static tarn_status event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    (void)device;
    (void)stream;
    event->recorded = 1;
    return TARN_OK;
}

static tarn_status event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    (void)device;
    (void)event;
    if (fake.query != TARN_OK) return answer(fake.query);
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

tarn_backend fake_table(const char *name) {
    return (tarn_backend){
        .abi_version = TARN_BACKEND_ABI_VERSION,
        .struct_size = sizeof(tarn_backend),
        .name = name,
        .type = TARN_DEVICE_OTHER,
        .start = start,
        .stop = stop,
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
}
