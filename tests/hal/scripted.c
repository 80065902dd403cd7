/* The scripted backend: a table of functions in front of the fake driver's. */
#include "scripted.h"

#include <stdlib.h>

#include "fake.h"

scripted_behaviour scripted;
scripted_counts scripted_calls;

static const tarn_backend_host *given_host;

void scripted_reset(void) {
    scripted = (scripted_behaviour){.alignment = 64, .maximum_alignment = 4096};
    scripted_calls = (scripted_counts){.starts = 0};
}

static void count(int *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

static tarn_status answer(tarn_status status) {
    if (status == TARN_OK || !scripted.explains) return status;
    return given_host->fail(status, "the fake was told to fail");
}

static tarn_status start(const tarn_backend_host *host) {
    given_host = host;
    count(&scripted_calls.starts);
    if (scripted.during_start != NULL) scripted.during_start();
    return scripted.start == TARN_OK ? fake_driver.start(host) : answer(scripted.start);
}

static void stop(void) { count(&scripted_calls.stops); }

static tarn_status device_count(int *out_count) {
    *out_count = 2;
    return TARN_OK;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    (void)arguments;
    count(&scripted_calls.opens);
    if (scripted.during_open != NULL) scripted.during_open();
    if (scripted.open != TARN_OK) return answer(scripted.open);
    return scripted.opens_nothing ? TARN_OK : fake_driver.device_open("1MiB,flat", out_device);
}

static void device_close(tarn_backend_device *device) {
    count(&scripted_calls.closes);
    fake_driver.device_close(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    tarn_status status = fake_driver.device_properties(device, out_properties);
    out_properties->alignment = scripted.alignment;
    out_properties->maximum_alignment = scripted.maximum_alignment;
    out_properties->granule = scripted.granule;
    out_properties->features = scripted.features;
    return status;
}

static tarn_status device_synchronize(tarn_backend_device *device) {
    count(&scripted_calls.synchronizes);
    return fake_driver.device_synchronize(device);
}

static tarn_status memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                   void **out_address) {
    (void)device, (void)kind;
    count(&scripted_calls.allocates);
    if (scripted.allocate != TARN_OK) return answer(scripted.allocate);
    if (scripted.gives_null) return TARN_OK;
    *out_address = scripted.address != NULL ? scripted.address
                                            : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    return TARN_OK;
}

static tarn_status memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    (void)device, (void)kind, (void)size;
    count(&scripted_calls.frees);
    if (scripted.free != TARN_OK) return answer(scripted.free);
    if (scripted.address == NULL) free(address);
    return TARN_OK;
}

static void stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    count(&scripted_calls.stream_destroys);
    fake_driver.stream_destroy(device, stream);
}

static void event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    count(&scripted_calls.event_destroys);
    fake_driver.event_destroy(device, event);
}

static tarn_status event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    if (scripted.query != TARN_OK) return answer(scripted.query);
    return fake_driver.event_query(device, event, out_complete);
}

tarn_backend scripted_table(const char *name) {
    tarn_backend table = fake_driver;
    table.name = name;
    table.start = start;
    table.stop = stop;
    table.device_count = device_count;
    table.device_open = device_open;
    table.device_close = device_close;
    table.device_properties = device_properties;
    table.device_synchronize = device_synchronize;
    table.memory_allocate = memory_allocate;
    table.memory_free = memory_free;
    table.virtual_reserve = NULL;
    table.virtual_release = NULL;
    table.granules_create = NULL;
    table.granules_release = NULL;
    table.virtual_map = NULL;
    table.virtual_unmap = NULL;
    table.stream_destroy = stream_destroy;
    table.event_destroy = event_destroy;
    table.event_query = event_query;
    return table;
}
