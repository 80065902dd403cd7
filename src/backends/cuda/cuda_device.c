/* GPUs: opening and closing, what they say of themselves, contexts, and the table of the backend's functions. */
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "backends/cuda/cuda_internal.h"
#include "backends/cuda/operations/operations.h"
#include "base/memory.h"

/* Bytes: allocations are shifted to what the driver does not align to by itself (cuda_memory.c). */
#define MAXIMUM_ALIGNMENT ((size_t)1 << 30)

const tarn_backend_host *cuda_host;

static tarn_status start(const tarn_backend_host *host) {
    cuda_host = host;
    tarn_status status = cuda_driver_load();
    return status == TARN_OK ? cuda_driver_begin() : status;
}

static tarn_status device_count(int *out_count) {
    int count = 0;
    tarn_status status = CUDA_CALL(cuDeviceGetCount, &count);
    if (status == TARN_OK) *out_count = count;
    return status;
}

tarn_status cuda_enter(const tarn_backend_device *device, cuda_scope *out_scope) {
    driver_context current = NULL;
    *out_scope = (cuda_scope){.is_pushed = false};
    /* The driver looks this up in the thread's own memory. */
    tarn_status status = CUDA_CALL(cuCtxGetCurrent, &current);
    if (status != TARN_OK || current == device->context) return status;
    status = CUDA_CALL(cuCtxPushCurrent, device->context);
    out_scope->is_pushed = status == TARN_OK;
    return status;
}

cuda_scope cuda_enter_to_end(const tarn_backend_device *device) {
    cuda_scope scope;
    /* What ends a handle finds its context by itself, so it is worth trying also where this fails, as it does on a lost device. */
    (void)cuda_enter(device, &scope);
    return scope;
}

void cuda_leave(cuda_scope scope) {
    driver_context left = NULL;
    if (scope.is_pushed) CUDA_DISCARD(cuCtxPopCurrent, &left);
}

/* The number after the colon, as device names have it: no sign, no leading zero, so that one device has one name. */
static tarn_status parse_ordinal(const char *arguments, int *out_ordinal) {
    size_t digits = strspn(arguments, "0123456789");
    bool is_number = digits > 0 && arguments[digits] == '\0' && (arguments[0] != '0' || digits == 1);
    if (!is_number) {
        return cuda_fail(TARN_INVALID_ARGUMENT, "\"%.32s\" is no number of a device: cuda:0, cuda:1 …", arguments);
    }
    int count = 0;
    tarn_status status = device_count(&count);
    if (status != TARN_OK) return status;
    long ordinal = digits < 10 ? strtol(arguments, NULL, 10) : count;
    if (ordinal >= count) {
        return cuda_fail(TARN_NOT_FOUND, "there is no device %.32s: the driver has %d, counted from 0", arguments,
                         count);
    }
    *out_ordinal = (int)ordinal;
    return TARN_OK;
}

static tarn_status read_attribute(const tarn_backend_device *device, driver_attribute attribute, int *out_value) {
    *out_value = 0;
    return CUDA_CALL(cuDeviceGetAttribute, out_value, attribute, device->handle);
}

static tarn_status read_fixed_properties(tarn_backend_device *device) {
    bool shares_managed_memory = false;
    const struct {
        driver_attribute attribute;
        int *place;
    } numbers[] = {
        {DRIVER_ATTRIBUTE_MULTIPROCESSOR_COUNT, &device->compute_units},
        {DRIVER_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &device->major},
        {DRIVER_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &device->minor},
        {DRIVER_ATTRIBUTE_MAX_PITCH, &device->maximum_pitch},
    };
    const struct {
        driver_attribute attribute;
        bool *place;
    } abilities[] = {
        {DRIVER_ATTRIBUTE_UNIFIED_ADDRESSING, &device->has_unified_addresses},
        {DRIVER_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, &device->has_virtual_memory},
        {DRIVER_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, &device->has_file_descriptors},
        {DRIVER_ATTRIBUTE_MANAGED_MEMORY, &device->has_managed_memory},
        {DRIVER_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, &shares_managed_memory},
        {DRIVER_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, &device->has_pools},
    };
    tarn_status status = CUDA_CALL(cuDeviceGetName, device->name, sizeof device->name, device->handle);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == TARN_OK; i++)
        status = read_attribute(device, numbers[i].attribute, numbers[i].place);
    for (size_t i = 0; i < sizeof abilities / sizeof abilities[0] && status == TARN_OK; i++) {
        int value = 0;
        status = read_attribute(device, abilities[i].attribute, &value);
        *abilities[i].place = value != 0;
    }
    /* Elsewhere the host must not touch any of it while the device does anything at all. */
    device->has_managed_memory = device->has_managed_memory && shares_managed_memory;
    if (status == TARN_OK && !device->has_unified_addresses) {
        status = cuda_fail(TARN_NOT_SUPPORTED, "%s has addresses of its own, apart from the host's", device->name);
    }
    return status;
}

/* Whether another device can reach this one's memory. */
static tarn_status look_for_peers(tarn_backend_device *device) {
    int count = 0;
    tarn_status status = device_count(&count);
    for (int i = 0; i < count && status == TARN_OK && !device->has_peers; i++) {
        driver_device other = 0;
        int can = 0;
        if (i == device->ordinal) continue;
        status = CUDA_CALL(cuDeviceGet, &other, i);
        if (status == TARN_OK) status = CUDA_CALL(cuDeviceCanAccessPeer, &can, other, device->handle);
        device->has_peers = can != 0;
    }
    return status;
}

/* What needs the device's context: its granules, its default stream. */
static tarn_status begin_in_context(tarn_backend_device *device) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = cuda_virtual_begin(device);
    if (status == TARN_OK) {
        status = cuda_stream_open(device, &device->default_stream);
    }
    cuda_leave(scope);
    return status;
}

static tarn_status begin(tarn_backend_device *device) {
    tarn_status status = CUDA_CALL(cuDeviceGet, &device->handle, device->ordinal);
    if (status == TARN_OK) status = read_fixed_properties(device);
    if (status == TARN_OK) status = look_for_peers(device);
    if (status == TARN_OK) status = CUDA_CALL(cuDevicePrimaryCtxRetain, &device->context, device->handle);
    if (status != TARN_OK) return status;
    status = begin_in_context(device);
    if (status != TARN_OK) CUDA_DISCARD(cuDevicePrimaryCtxRelease, device->handle);
    return status;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    int ordinal = 0;
    tarn_status status = parse_ordinal(arguments, &ordinal);
    if (status != TARN_OK) return status;
    tarn_backend_device *device = base_allocate(1, sizeof *device);
    if (device == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for the device");
    device->ordinal = ordinal;
    status = cuda_operations_begin(device);
    if (status == TARN_OK) status = begin(device);
    if (status != TARN_OK) {
        cuda_operations_end(device);
        base_free(device);
        return status;
    }
    pthread_mutex_init(&device->lock, NULL);
    pthread_mutex_init(&device->mapping_lock, NULL);
    *out_device = device;
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) {
    cuda_scope scope = cuda_enter_to_end(device);
    cuda_virtual_end(device);
    cuda_operations_end(device);
    cuda_events_end(device);
    CUDA_DISCARD(cuStreamDestroy, device->default_stream.handle);
    cuda_leave(scope);
    CUDA_DISCARD(cuDevicePrimaryCtxRelease, device->handle);
    cuda_memory_end(device);
    cuda_shared_end(device);
    pthread_mutex_destroy(&device->mapping_lock);
    pthread_mutex_destroy(&device->lock);
    base_free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    size_t available = 0;
    size_t total = 0;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemGetInfo, &available, &total);
    cuda_leave(scope);
    if (status != TARN_OK) return status;
    memcpy(out_properties->name, device->name, sizeof device->name);
    out_properties->memory_total = total;
    out_properties->memory_free = available;
    out_properties->alignment = CUDA_ALIGNMENT;
    out_properties->maximum_alignment = MAXIMUM_ALIGNMENT;
    out_properties->granule = device->granule;
    out_properties->compute_units = (uint32_t)device->compute_units;
    out_properties->features = TARN_FEATURE_HOST_FUNCTIONS_APART;
    if (device->granule != 0) out_properties->features |= TARN_FEATURE_VIRTUAL_MEMORY | TARN_FEATURE_ALIASING;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED);
    if (device->has_peers) out_properties->features |= TARN_FEATURE_PEER_ACCESS;
    if (device->granule != 0 && device->has_file_descriptors)
        out_properties->memory_kinds |= TARN_MEMORY_KIND_BIT(TARN_MEMORY_SHARED);
    if (device->has_pools) out_properties->features |= TARN_FEATURE_STREAM_ORDERED;
    if (device->has_managed_memory) {
        out_properties->features |= TARN_FEATURE_UNIFIED_MEMORY;
        out_properties->memory_kinds |= TARN_MEMORY_KIND_BIT(TARN_MEMORY_MANAGED);
    }
    return TARN_OK;
}

static tarn_status device_native(tarn_backend_device *device, void **out_native) {
    *out_native = device->context;
    return TARN_OK;
}

static tarn_status device_synchronize(tarn_backend_device *device) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = cuda_answer(cuda_driver.cuCtxSynchronize(), "cuCtxSynchronize");
    cuda_leave(scope);
    return status == TARN_OK ? cuda_workspace_take_failure(device, NULL) : status;
}

const tarn_backend cuda_backend = {
    .abi_version = TARN_BACKEND_ABI_VERSION,
    .struct_size = sizeof(tarn_backend),
    .name = "cuda",
    .type = TARN_DEVICE_CUDA,
    .start = start,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = device_synchronize,
    .memory_allocate = cuda_memory_allocate,
    .memory_free = cuda_memory_free,
    .virtual_reserve = cuda_virtual_reserve,
    .virtual_release = cuda_virtual_release,
    .granules_create = cuda_granules_create,
    .granules_release = cuda_granules_release,
    .virtual_map = cuda_virtual_map,
    .virtual_unmap = cuda_virtual_unmap,
    .stream_default = cuda_stream_default,
    .stream_create = cuda_stream_create,
    .stream_destroy = cuda_stream_destroy,
    .stream_synchronize = cuda_stream_synchronize,
    .stream_host_function = cuda_stream_host_function,
    .stream_copy = cuda_stream_copy,
    .stream_fill = cuda_stream_fill,
    .stream_wait = cuda_stream_wait,
    .stream_copy_box = cuda_stream_copy_box,
    .event_create = cuda_event_create,
    .event_destroy = cuda_event_destroy,
    .event_record = cuda_event_record,
    .event_query = cuda_event_query,
    .event_synchronize = cuda_event_synchronize,
    .event_elapsed = cuda_event_elapsed,
    .operations = &cuda_operations,
    .capture = &cuda_capture,
    .peer = &cuda_peer,
    .interprocess = &cuda_interprocess,
    .stream_adopt = cuda_stream_adopt,
    .stream_native = cuda_stream_native,
    .device_native = device_native,
    .event_create_untimed = cuda_event_create_untimed,
    .stream_ordered = &cuda_stream_ordered,
};
