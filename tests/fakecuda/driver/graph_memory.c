/* Memory that graphs allocate: an address for the graph's life, bytes of the device from its first launch until it is trimmed or
 * gone, and contents from the allocating node to the free. */
#include "state.h"

#include "capture.h"
#include "graph.h"

#include <stdlib.h>

fake_range *graph_memory_make(fake_context *in, size_t size) {
    if (size == 0) return NULL;
    size_t pages = (size + PAGE - 1) / PAGE * PAGE;
    char *base;
    size_t base_size;
    char *start = pages >= size ? addresses_take(pages, PAGE, &base, &base_size) : NULL;
    if (start == NULL) return NULL;
    fake_range *made = range_make(RANGE_GRAPH, in->on, (CUdeviceptr)(uintptr_t)start, size);
    made->memory = physical_make(in->on, pages, 0, false);
    made->owner = in;
    made->readers = made->writers = 1u << in->on->ordinal;
    made->base = base;
    made->base_size = base_size;
    made->is_ready = false;
    if (range_map(made)) return made;
    range_end(made);
    return NULL;
}

static void release(fake_range *memory) {
    device_give(memory->on, memory->counted);
    memory->counted = 0;
}

void graph_memory_drop(CUdeviceptr address) {
    fake_range *memory = range_find(address);
    if (memory == NULL) return;
    memory->is_orphan = true;
    if (memory->is_outstanding) return; /* whoever frees it ends it */
    release(memory);
    range_end(memory);
}

void graph_memory_end(fake_range *memory) {
    memory->is_ready = false;
    memory->is_freed = false;
    if (!memory->is_orphan) return;
    release(memory);
    range_end(memory);
}

CUresult cuDeviceGraphMemTrim(CUdevice ordinal) {
    ENTER(cuDeviceGraphMemTrim);
    const fake_device *device = device_at(ordinal);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    size_t count;
    fake_range **all = range_list(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->kind == RANGE_GRAPH && all[i]->on == device && !all[i]->is_outstanding && !all[i]->is_ready)
            release(all[i]);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute, void *value) {
    ENTER(cuDeviceGetGraphMemAttribute);
    const fake_device *device = device_at(ordinal);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    if (value == NULL || (unsigned)attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) LEAVE(CUDA_ERROR_INVALID_VALUE);
    /* High-water marks are what is now: nothing keeps them in this driver. */
    bool is_used = attribute == CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT || attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH;
    cuuint64_t bytes = 0;
    size_t count;
    fake_range **all = range_list(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->kind == RANGE_GRAPH && all[i]->on == device && (!is_used || all[i]->is_outstanding))
            bytes += all[i]->counted;
    *(cuuint64_t *)value = bytes;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute, void *value) {
    ENTER(cuDeviceSetGraphMemAttribute);
    if (device_at(ordinal) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    bool is_mark = attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH || attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH;
    LEAVE(value == NULL || !is_mark || *(cuuint64_t *)value != 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS);
}
