/* The cpu device: opening and closing, what it says of itself, and the table of its functions. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/threads.h"
#include "backends/cpu/cpu.h"
#include "backends/cpu/cpu_internal.h"
#include "base/checked.h"
#include "base/memory.h"
#include "base/thread.h"

const tarn_backend_host *cpu_host;

static tarn_status start(const tarn_backend_host *host) {
    cpu_host = host;
    return TARN_OK;
}

static tarn_status device_count(int *out_count) {
    *out_count = 1;
    return TARN_OK;
}

/* The processor's name as the kernel knows it; "cpu" where it has none. */
static void read_name(char *out_name, size_t capacity) {
    char line[256];
    snprintf(out_name, capacity, "cpu");
    FILE *stream = fopen("/proc/cpuinfo", "re");
    if (stream == NULL) return;
    while (fgets(line, sizeof line, stream) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
        const char *name = colon + strspn(colon, ": \t");
        int length = (int)strcspn(name, "\n");
        if (length > 0) snprintf(out_name, capacity, "%.*s", length, name);
        break;
    }
    fclose(stream);
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    if (*arguments != '\0')
        return cpu_fail(TARN_INVALID_ARGUMENT, "the cpu device takes no arguments, and got \"%s\"", arguments);
    tarn_backend_device *device = base_allocate(1, sizeof *device);
    if (device == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for the device");
    long page_size = sysconf(_SC_PAGESIZE);
    device->page_size = page_size > 0 ? (size_t)page_size : 4096;
    device->capacity = cpu_limits_total();
    read_name(device->name, sizeof device->name);
    device->granules.fail = cpu_host->fail;
    pthread_mutex_init(&device->virtual_lock, NULL);
    pthread_mutex_init(&device->point_lock, NULL);
    pthread_cond_init(&device->point_done, NULL);
    pthread_mutex_init(&device->stream_lock, NULL);
    device->default_stream.device = device;
    device->default_stream.is_default = true;
    cpu_queue_start(&device->default_stream);
    cpu_threads_retain();
    *out_device = device;
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) {
    cpu_threads_release();
    cpu_compute_trim();
    cpu_queue_end(&device->default_stream);
    cpu_virtual_end(device);
    cpu_shared_end(device);
    pthread_mutex_destroy(&device->stream_lock);
    pthread_cond_destroy(&device->point_done);
    pthread_mutex_destroy(&device->point_lock);
    pthread_mutex_destroy(&device->virtual_lock);
    base_free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    memcpy(out_properties->name, device->name, sizeof out_properties->name);
    out_properties->memory_total = device->capacity;
    out_properties->memory_free = cpu_limits_free();
    out_properties->alignment = CPU_ALIGNMENT;
    out_properties->maximum_alignment = CPU_MAXIMUM_ALIGNMENT;
    out_properties->granule = CPU_GRANULE;
    out_properties->compute_units = base_processor_count();
    out_properties->features = TARN_FEATURE_VIRTUAL_MEMORY | TARN_FEATURE_HOST_ACCESS | TARN_FEATURE_UNIFIED_MEMORY;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED) |
                                   TARN_MEMORY_KIND_BIT(TARN_MEMORY_MANAGED) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_HOST) |
                                   TARN_MEMORY_KIND_BIT(TARN_MEMORY_SHARED);
    return TARN_OK;
}

const tarn_backend cpu_backend = {
    .abi_version = TARN_BACKEND_ABI_VERSION,
    .struct_size = sizeof(tarn_backend),
    .name = "cpu",
    .type = TARN_DEVICE_CPU,
    .start = start,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = cpu_device_synchronize,
    .memory_allocate = cpu_memory_allocate,
    .memory_free = cpu_memory_free,
    .virtual_reserve = cpu_virtual_reserve,
    .virtual_release = cpu_virtual_release,
    .granules_create = cpu_granules_create,
    .granules_release = cpu_granules_release,
    .virtual_map = cpu_virtual_map,
    .virtual_unmap = cpu_virtual_unmap,
    .stream_default = cpu_stream_default,
    .stream_create = cpu_stream_create,
    .stream_destroy = cpu_stream_destroy,
    .stream_synchronize = cpu_stream_synchronize,
    .stream_host_function = cpu_stream_host_function,
    .stream_copy = cpu_stream_copy,
    .stream_fill = cpu_stream_fill,
    .stream_wait = cpu_stream_wait,
    .stream_copy_box = cpu_stream_copy_box,
    .event_create = cpu_event_create,
    .event_destroy = cpu_event_destroy,
    .event_record = cpu_event_record,
    .event_query = cpu_event_query,
    .event_synchronize = cpu_event_synchronize,
    .event_elapsed = cpu_event_elapsed,
    .interprocess = &cpu_interprocess,
    .operations = &cpu_operations,
};
