/* The plug-in's devices and their streams, each made when PyTorch first names it, and kept: PyTorch's own streams live as long as the
 * process does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "torch/state.h"

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* held while a device is opened */
/* Released when they are whole. */
static _Atomic(torch_device *) devices[TORCH_DEVICES];

torch_device *torch_device_known(int number) {
    if (number < 0 || number >= TORCH_DEVICES) return NULL;
    return atomic_load_explicit(&devices[number], memory_order_acquire);
}

/* Writes the name of device `number`; false when there is none. */
static bool name_device(int number, char *out_name, size_t capacity) {
    const char *pattern = getenv("TARN_TORCH_DEVICE");
    if (pattern == NULL || *pattern == '\0') pattern = "cuda:{}";
    const char *place = strstr(pattern, "{}");
    if (number < 0 || number >= TORCH_DEVICES || (place == NULL && number != 0)) return false;
    int length = place == NULL
                     ? snprintf(out_name, capacity, "%s", pattern)
                     : snprintf(out_name, capacity, "%.*s%d%s", (int)(place - pattern), pattern, number, place + 2);
    return length > 0 && (size_t)length < capacity;
}

/* The stack of TARN_TORCH_ALLOCATOR, or a cache that may use all that the device has, until it is told otherwise. */
static tarn_status create_allocator(tarn_device *device, tarn_allocator **out_allocator) {
    const char *given = getenv("TARN_TORCH_ALLOCATOR");
    if (given != NULL && *given != '\0') return tarn_allocator_create(device, given, out_allocator);
    tarn_device_properties properties = {.struct_size = sizeof properties};
    tarn_status status = tarn_device_properties_get(device, &properties);
    if (status != TARN_OK) return status;
    char spec[64];
    snprintf(spec, sizeof spec, "limit:%llu | caching", (unsigned long long)properties.memory_total);
    return tarn_allocator_create(device, spec, out_allocator);
}

/* Must be called with `open_lock` held. */
static tarn_status open_device(int number, torch_device **out_device) {
    char name[256];
    if (!name_device(number, name, sizeof name)) {
        return torch_fail(TARN_NOT_FOUND,
                          "there is no device of that number: TARN_TORCH_DEVICE has {} where it stands");
    }
    torch_device *opened = base_allocate(1, sizeof *opened);
    if (opened == NULL) return torch_fail(TARN_OUT_OF_MEMORY, "no host memory for device %s", name);
    tarn_status status = torch_answer(tarn_device_open(name, &opened->device));
    if (status == TARN_OK) {
        status = torch_answer(create_allocator(opened->device, &opened->allocator));
        if (status != TARN_OK) (void)tarn_device_release(opened->device);
    }
    if (status != TARN_OK) {
        base_free(opened);
        return status;
    }
    opened->number = number;
    pthread_mutex_init(&opened->lock, NULL);
    torch_ledger_begin(&opened->ledger);
    torch_watch_forks();
    atomic_store_explicit(&devices[number], opened, memory_order_release);
    *out_device = opened;
    return TARN_OK;
}

void torch_device_opening_hold(bool is_held) {
    if (is_held) pthread_mutex_lock(&open_lock);
    else pthread_mutex_unlock(&open_lock);
}

tarn_status torch_device_open(int number, torch_device **out_device) {
    tarn_status status = TARN_OK;
    torch_device *device = torch_device_known(number);
    if (device == NULL) {
        pthread_mutex_lock(&open_lock);
        device = torch_device_known(number);
        if (device == NULL) status = open_device(number, &device);
        pthread_mutex_unlock(&open_lock);
    }
    if (status == TARN_OK) *out_device = device;
    return status;
}

/* Streams. */

/* Adopts the stream, or, on a device that PyTorch cannot have streams of, makes one that stands for it. */
static tarn_status make_stream(torch_device *device, void *native, tarn_stream **out_stream) {
    tarn_device_type type = tarn_device_type_of(device->device);
    if (type != TARN_DEVICE_CPU && type != TARN_DEVICE_SIM)
        return tarn_stream_adopt(device->device, native, out_stream);
    if (native != NULL) return tarn_stream_create(device->device, out_stream);
    *out_stream = tarn_device_default_stream(device->device);
    return TARN_OK;
}

void *torch_native_of(const torch_device *device, uint64_t number) {
    /* Numbers are keys, as pointers are. NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return pointer_table_find(&device->natives, (const void *)(uintptr_t)number);
}

/* Must be called with the device's lock held. */
static tarn_status remember_stream(torch_device *device, void *native, tarn_stream **out_stream) {
    tarn_stream *stream;
    tarn_status status = torch_answer(make_stream(device, native, &stream));
    if (status != TARN_OK) return status;
    if (native == NULL) {
        device->null_stream = stream;
    } else {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        const void *number = (const void *)(uintptr_t)tarn_stream_number(stream);
        bool is_known = pointer_table_insert(&device->natives, number, native);
        if (!is_known || !pointer_table_insert(&device->streams, native, stream)) {
            if (is_known) pointer_table_remove(&device->natives, number);
            (void)tarn_stream_release(stream);
            return torch_fail(TARN_OUT_OF_MEMORY, "no host memory to remember a stream");
        }
    }
    *out_stream = stream;
    return TARN_OK;
}

tarn_status torch_stream_of(torch_device *device, void *native, tarn_stream **out_stream) {
    /* The stream that the thread named last. */
    static _Thread_local struct {
        const torch_device *device;
        const void *native;
        tarn_stream *stream;
    } last;
    if (last.device == device && last.native == native) {
        *out_stream = last.stream;
        return TARN_OK;
    }
    pthread_mutex_lock(&device->lock);
    tarn_stream *stream = native == NULL ? device->null_stream : pointer_table_find(&device->streams, native);
    tarn_status status = TARN_OK;
    if (stream == NULL) status = remember_stream(device, native, &stream);
    pthread_mutex_unlock(&device->lock);
    if (status != TARN_OK) return status;
    last.device = device;
    last.native = native;
    last.stream = stream;
    *out_stream = stream;
    return TARN_OK;
}
