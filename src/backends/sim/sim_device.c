/* The simulated device: opening and closing, what it says of itself, its clock, and the table of its functions. */
#include <stdio.h>
#include <string.h>

#include <tarn/size.h>

#include "backends/sim/sim.h"
#include "backends/sim/sim_internal.h"
#include "base/memory.h"

/* A driver's allocations may be aligned to whole granules of the largest size. */
#define MAXIMUM_ALIGNMENT ((size_t)1 << 30)

const tarn_backend_host *sim_host;

static tarn_status start(const tarn_backend_host *host) {
    sim_host = host;
    return TARN_OK;
}

/* Simulated devices are made by opening them; one stands for all in a list of devices. */
static tarn_status device_count(int *out_count) {
    *out_count = 1;
    return TARN_OK;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    sim_options options;
    tarn_status status = sim_options_parse(arguments, &options);
    if (status != TARN_OK) return status;
    tarn_backend_device *device = base_allocate(1, sizeof *device);
    if (device == NULL) return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for the device");
    device->options = options;
    device->granules = (base_granules){.fail = sim_host->fail, .may_alias = options.aliasing};
    device->capacity = options.capacity;
    /* The generator's state must not be 0. */
    device->random = options.seed * 0x9e3779b97f4a7c15u | 1;
    status = sim_addresses_start(device);
    if (status != TARN_OK) {
        base_free(device);
        return status;
    }
    pthread_mutex_init(&device->lock, NULL);
    *out_device = device;
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) {
    sim_addresses_end(device);
    base_granules_end(&device->granules);
    pthread_mutex_destroy(&device->lock);
    base_free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    const sim_options *options = &device->options;
    char capacity[TARN_SIZE_TEXT];
    pthread_mutex_lock(&device->lock);
    uint64_t total = device->capacity;
    uint64_t used = device->used;
    pthread_mutex_unlock(&device->lock);
    snprintf(out_properties->name, sizeof out_properties->name, "simulated device of %s",
             tarn_size_format(total, capacity));
    out_properties->memory_total = total;
    out_properties->memory_free = total > used ? total - used : 0;
    out_properties->alignment = (size_t)options->alignment;
    out_properties->maximum_alignment = MAXIMUM_ALIGNMENT;
    out_properties->granule = (size_t)options->granule;
    out_properties->compute_units = 1;
    out_properties->features = TARN_FEATURE_NO_BACKING | TARN_FEATURE_STREAM_ORDERED;
    if (options->granule != 0) {
        out_properties->features |= TARN_FEATURE_VIRTUAL_MEMORY;
        if (options->aliasing) out_properties->features |= TARN_FEATURE_ALIASING;
    }
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED);
    return TARN_OK;
}

static tarn_status clock_set(tarn_backend_device *device, uint64_t nanoseconds) {
    pthread_mutex_lock(&device->lock);
    if (nanoseconds > atomic_load_explicit(&device->clock, memory_order_relaxed)) {
        atomic_store_explicit(&device->clock, nanoseconds, memory_order_relaxed);
    }
    /* The program goes on: it is taken to have given the device more to do. */
    device->last_active = sim_now(device);
    pthread_mutex_unlock(&device->lock);
    return TARN_OK;
}

static tarn_status clock_cost(tarn_backend_device *device, uint64_t *out_nanoseconds) {
    *out_nanoseconds = atomic_load_explicit(&device->cost, memory_order_relaxed);
    return TARN_OK;
}

const tarn_backend sim_backend = {
    .abi_version = TARN_BACKEND_ABI_VERSION,
    .struct_size = sizeof(tarn_backend),
    .name = "sim",
    .type = TARN_DEVICE_SIM,
    .start = start,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = sim_device_synchronize,
    .memory_allocate = sim_memory_allocate,
    .memory_free = sim_memory_free,
    .virtual_reserve = sim_virtual_reserve,
    .virtual_release = sim_virtual_release,
    .granules_create = sim_granules_create,
    .granules_release = sim_granules_release,
    .virtual_map = sim_virtual_map,
    .virtual_unmap = sim_virtual_unmap,
    .stream_default = sim_stream_default,
    .stream_create = sim_stream_create,
    .stream_destroy = sim_stream_destroy,
    .stream_synchronize = sim_stream_synchronize,
    .stream_host_function = sim_stream_host_function,
    .stream_copy = sim_stream_copy,
    .stream_fill = sim_stream_fill,
    .stream_wait = sim_stream_wait,
    .event_create = sim_event_create,
    .event_destroy = sim_event_destroy,
    .event_record = sim_event_record,
    .event_query = sim_event_query,
    .event_synchronize = sim_event_synchronize,
    .event_elapsed = sim_event_elapsed,
    .stream_ordered = &sim_stream_ordered,
    .clock_set = clock_set,
    .clock_cost = clock_cost,
    .stream_copy_box = sim_stream_copy_box,
    .clock_enqueue = sim_clock_enqueue,
};
