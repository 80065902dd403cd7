/* Memory that has its address from the start: of a device, pinned, registered, managed. */
#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALL = 1 << 20, ALIGNMENT = 512 };

/* Small allocations share granules, as a driver packs them; each has pages of its own here, and begins where an address is as
 * little aligned as the driver's may be. */
static CUresult allocate_device(CUdeviceptr *pointer, size_t size) {
    if (pointer == NULL || size == 0) return CUDA_ERROR_INVALID_VALUE;
    fake_context *owner = context_current();
    if (size > the_driver.settings.memory) return CUDA_ERROR_OUT_OF_MEMORY;
    bool is_small = size < SMALL;
    size_t offset = is_small ? ALIGNMENT : 0;
    size_t pages = (size + offset + PAGE - 1) / PAGE * PAGE;
    size_t unit = is_small ? ALIGNMENT : GRANULE;
    fake_physical *memory = physical_make(owner->on, pages, (size + unit - 1) / unit * unit, is_small);
    if (memory == NULL) return CUDA_ERROR_OUT_OF_MEMORY;
    char *base;
    size_t base_size;
    char *start = addresses_take(pages, is_small ? PAGE : GRANULE, &base, &base_size);
    if (start == NULL) {
        physical_drop(memory);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    fake_range *made = range_make(RANGE_DEVICE, owner->on, (CUdeviceptr)(uintptr_t)(start + offset), size);
    made->owner = owner;
    made->memory = memory;
    made->memory_offset = offset;
    made->base = base;
    made->base_size = base_size;
    if (!range_map(made)) {
        range_end(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *pointer = made->start;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size) {
    ENTER(cuMemAlloc_v2);
    LEAVE(allocate_device(pointer, size));
}

/* A driver waits for all work before memory goes; only memory of a pool is freed at once. */
static CUresult free_device(CUdeviceptr pointer) {
    if (pointer == 0) return CUDA_SUCCESS;
    fake_range *freed = range_find(pointer);
    if (freed == NULL || freed->start != pointer || freed->is_freed)
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is not the beginning of an allocation", pointer);
    switch (freed->kind) {
    case RANGE_GRAPH:
        if (!freed->is_outstanding)
            return VIOLATION(CUDA_ERROR_INVALID_VALUE, "no launch has allocated 0x%llx", pointer);
        freed->is_outstanding = false;
        return pooled_free_at_once(freed);
    case RANGE_POOLED: return pooled_free_at_once(freed);
    case RANGE_DEVICE:
    case RANGE_MANAGED: break;
    default: return VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is not memory that cuMemFree frees", pointer);
    }
    freed->is_freed = true;
    tasks_wait_all(freed->owner);
    range_end(freed);
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
    ENTER(cuMemFree_v2);
    LEAVE(free_device(pointer));
}

CUresult cuMemGetInfo_v2(size_t *unused, size_t *total) {
    ENTER(cuMemGetInfo_v2);
    if (unused == NULL || total == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *total = the_driver.settings.memory;
    *unused = *total - device_used(context_current()->on);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *start, size_t *size, CUdeviceptr pointer) {
    ENTER(cuMemGetAddressRange_v2);
    const fake_range *range = range_find(pointer);
    if (range == NULL) LEAVE(CUDA_ERROR_NOT_FOUND);
    if (start != NULL) *start = range->start;
    if (size != NULL) *size = range->size;
    LEAVE(CUDA_SUCCESS);
}

/* Host memory with the program's own access and a guard page on each side. */
static CUresult allocate_host(range_kind kind, CUdeviceptr *pointer, size_t size, unsigned flags) {
    if (pointer == NULL || size == 0) return CUDA_ERROR_INVALID_VALUE;
    size_t pages = (size + PAGE - 1) / PAGE * PAGE;
    char *base;
    size_t base_size;
    if (pages < size) return CUDA_ERROR_OUT_OF_MEMORY;
    char *start = addresses_take(pages, PAGE, &base, &base_size);
    if (start == NULL) return CUDA_ERROR_OUT_OF_MEMORY;
    if (mprotect(start, pages, PROT_READ | PROT_WRITE) != 0) {
        munmap(base, base_size);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    fake_context *owner = context_current();
    fake_range *made = range_make(kind, owner->on, (CUdeviceptr)(uintptr_t)start, size);
    made->owner = owner;
    made->flags = flags;
    made->readers = made->writers = ~0u;
    made->base = base;
    made->base_size = base_size;
    *pointer = made->start;
    return CUDA_SUCCESS;
}

static CUresult host_alloc(void **pointer, size_t size, unsigned flags) {
    if (pointer == NULL || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    CUdeviceptr made;
    CUresult result = allocate_host(RANGE_HOST, &made, size, flags | CU_MEMHOSTALLOC_DEVICEMAP);
    if (result == CUDA_SUCCESS) *pointer = (void *)(uintptr_t)made;
    return result;
}

CUresult cuMemHostAlloc(void **pointer, size_t size, unsigned int flags) {
    ENTER(cuMemHostAlloc);
    LEAVE(host_alloc(pointer, size, flags));
}

CUresult cuMemAllocHost_v2(void **pointer, size_t size) {
    ENTER(cuMemAllocHost_v2);
    LEAVE(host_alloc(pointer, size, 0));
}

CUresult cuMemAllocManaged(CUdeviceptr *pointer, size_t size, unsigned int flags) {
    ENTER(cuMemAllocManaged);
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST) LEAVE(CUDA_ERROR_INVALID_VALUE);
    LEAVE(allocate_host(RANGE_MANAGED, pointer, size, flags));
}

static fake_range *host_range(const void *pointer, range_kind kind) {
    fake_range *found = range_find((CUdeviceptr)(uintptr_t)pointer);
    return found != NULL && found->kind == kind ? found : NULL;
}

CUresult cuMemFreeHost(void *pointer) {
    ENTER(cuMemFreeHost);
    fake_range *freed = host_range(pointer, RANGE_HOST);
    if (freed == NULL || freed->start != (CUdeviceptr)(uintptr_t)pointer)
        LEAVE(VIOLATION(CUDA_ERROR_INVALID_VALUE, "%p is no pinned allocation", pointer));
    tasks_wait_all(NULL);
    range_end(freed);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *pointer, void *host, unsigned int flags) {
    ENTER(cuMemHostGetDevicePointer_v2);
    if (pointer == NULL || flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (host_range(host, RANGE_HOST) == NULL && host_range(host, RANGE_REGISTERED) == NULL)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    *pointer = (CUdeviceptr)(uintptr_t)host;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemHostGetFlags(unsigned int *flags, void *host) {
    ENTER(cuMemHostGetFlags);
    const fake_range *range = host_range(host, RANGE_HOST);
    if (flags == NULL || range == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *flags = range->flags;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemHostRegister_v2(void *pointer, size_t size, unsigned int flags) {
    ENTER(cuMemHostRegister_v2);
    if (pointer == NULL || size == 0 || flags > 15) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUdeviceptr start = (CUdeviceptr)(uintptr_t)pointer;
    size_t count;
    fake_range **all = range_list(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->start < start + size && start < all[i]->start + all[i]->size)
            LEAVE(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    fake_range *made = range_make(RANGE_REGISTERED, context_current()->on, start, size);
    made->owner = context_current();
    made->flags = flags;
    made->readers = made->writers = ~0u;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemHostUnregister(void *pointer) {
    ENTER(cuMemHostUnregister);
    fake_range *ended = host_range(pointer, RANGE_REGISTERED);
    if (ended == NULL || ended->start != (CUdeviceptr)(uintptr_t)pointer)
        LEAVE(VIOLATION(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "%p is not registered", pointer));
    tasks_wait_all(NULL);
    range_end(ended);
    LEAVE(CUDA_SUCCESS);
}

static bool is_host(const fake_range *range) { return range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED; }

#define GIVE(type, value) (*(type *)data = (type)(value), CUDA_SUCCESS)

static CUresult attribute_of(void *data, CUpointer_attribute attribute, const fake_range *range, CUdeviceptr pointer) {
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: return GIVE(CUcontext, range->owner != NULL ? range->owner->handle : NULL);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        return GIVE(unsigned, is_host(range) ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: return GIVE(CUdeviceptr, pointer);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (!is_host(range) && range->kind != RANGE_MANAGED) return CUDA_ERROR_INVALID_VALUE;
        *(void **)data = (void *)(uintptr_t)pointer;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: return GIVE(unsigned, 0);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: return GIVE(unsigned long long, range->id);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: return GIVE(unsigned, range->kind == RANGE_MANAGED);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: return GIVE(int, range->on->ordinal);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE: return GIVE(unsigned, range->kind == RANGE_DEVICE);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: return GIVE(CUdeviceptr, range->start);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: return GIVE(size_t, range->size);
    case CU_POINTER_ATTRIBUTE_MAPPED: return GIVE(unsigned, 1);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        return GIVE(unsigned long long, range->memory != NULL ? range->memory->properties.requestedHandleTypes : 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        return GIVE(unsigned, (range->readers & 1u << range->on->ordinal) != 0 || range->kind == RANGE_DEVICE ? 3 : 0);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        return GIVE(CUmemoryPool, range->pool != NULL ? range->pool->handle : NULL);
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE: return GIVE(size_t, range->size);
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR: return GIVE(CUdeviceptr, range->start);
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID: return GIVE(unsigned long long, range->id);
    default: return GIVE(unsigned, 0);
    }
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr pointer) {
    ENTER(cuPointerGetAttribute);
    const fake_range *range = range_find(pointer);
    if (data == NULL || (int)attribute < 1 || (int)attribute > 30) LEAVE(CUDA_ERROR_INVALID_VALUE);
    /* Memory that the driver does not know is refused here, and answered with zeros by the function for several attributes. */
    LEAVE(range == NULL ? CUDA_ERROR_INVALID_VALUE : attribute_of(data, attribute, range, pointer));
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **data, CUdeviceptr pointer) {
    ENTER(cuPointerGetAttributes);
    if (count == 0 || attributes == NULL || data == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    const fake_range *range = range_find(pointer);
    for (unsigned i = 0; i < count; i++) {
        if (range != NULL && attribute_of(data[i], attributes[i], range, pointer) == CUDA_SUCCESS) continue;
        switch (attributes[i]) {
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)data[i] = range == NULL ? -2 : range->on->ordinal; break;
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        case CU_POINTER_ATTRIBUTE_MAPPED:
        case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: *(unsigned *)data[i] = 0; break;
        default: memset(data[i], 0, sizeof(unsigned long long));
        }
    }
    LEAVE(CUDA_SUCCESS);
}
