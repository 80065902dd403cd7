/* Memory of a device.
 *
 * With shared virtual memory an address is one that kernels follow. Without it there are only buffers, which have no addresses: then each
 * allocation reserves as many addresses as it has bytes, with nothing behind them, and an address stands for the byte of the buffer that is as
 * far from its beginning. Either way whoever has an address finds the block that it lies in, so that views and blocks that an
 * allocator cuts out of a larger one need no handles of their own: kernels get the buffer and an offset. (Sub-buffers would be such handles, but they
 * begin only at multiples of the device's alignment, and views begin anywhere.)
 *
 * Pinned memory is shared virtual memory of fine grain, which kernels reach too, or a buffer that lies in host memory and stays mapped. */
#include <search.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "backends/opencl/opencl_internal.h"

/* Two keys are equal where they overlap; a key to find is a block of size 1. */
static int compare_blocks(const void *a, const void *b) {
    const opencl_block *first = a, *second = b;
    if (first->address >= second->address + second->size) return 1;
    return second->address >= first->address + first->size ? -1 : 0;
}

bool opencl_memory_find(tarn_backend_device *device, const void *address, opencl_block *out_block) {
    opencl_block key = {.address = (uintptr_t)address, .size = 1};
    pthread_rwlock_rdlock(&device->block_lock);
    opencl_block *const *found = tfind(&key, &device->blocks, compare_blocks);
    if (found != NULL) *out_block = **found;
    pthread_rwlock_unlock(&device->block_lock);
    return found != NULL;
}

/* OUT_OF_MEMORY when the tree cannot grow. */
static tarn_status add_block(tarn_backend_device *device, opencl_block *block) {
    pthread_rwlock_wrlock(&device->block_lock);
    opencl_block *const *place = tsearch(block, &device->blocks, compare_blocks);
    bool is_new = place != NULL && *place == block;
    pthread_rwlock_unlock(&device->block_lock);
    if (place == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory to note an allocation");
    if (!is_new) {
        return opencl_fail(TARN_INTERNAL, "the driver gave %zu bytes at %p, which are in use", block->size,
                           (void *)block->address);
    }
    return TARN_OK;
}

static tarn_status charge(tarn_backend_device *device, size_t size) {
    uint_fast64_t used = atomic_load_explicit(&device->used, memory_order_relaxed);
    do {
        if (size > device->capacity - used) {
            return opencl_fail(TARN_OUT_OF_MEMORY,
                               "%zu bytes asked, and of the device's capacity of %llu bytes %llu are in use", size,
                               (unsigned long long)device->capacity, (unsigned long long)used);
        }
    } while (!atomic_compare_exchange_weak_explicit(&device->used, &used, used + size, memory_order_relaxed,
                                                    memory_order_relaxed));
    return TARN_OK;
}

static void discharge(tarn_backend_device *device, size_t size) {
    atomic_fetch_sub_explicit(&device->used, size, memory_order_relaxed);
}

static uintptr_t align_up(uintptr_t address, size_t alignment) { return (address + alignment - 1) & ~(alignment - 1); }

/* Drivers keep to their own alignment at best, so more is allocated and the block begins later in it. */
static tarn_status allocate_shared(tarn_backend_device *device, size_t alignment, opencl_block *block) {
    cl_svm_mem_flags flags = CL_MEM_READ_WRITE;
    if (block->kind == TARN_MEMORY_PINNED) flags |= CL_MEM_SVM_FINE_GRAIN_BUFFER;
    size_t surplus = alignment > device->alignment ? alignment : 0;
    block->base = opencl.clSVMAlloc(device->context, flags, block->size + surplus, 0);
    if (block->base == NULL) {
        return opencl_fail(TARN_OUT_OF_MEMORY, "clSVMAlloc has no %zu bytes", block->size + surplus);
    }
    block->address = align_up((uintptr_t)block->base, alignment);
    if (block->address + block->size > (uintptr_t)block->base + block->size + surplus) {
        opencl.clSVMFree(device->context, block->base);
        return opencl_fail(TARN_INTERNAL, "clSVMAlloc answers %p, which is not aligned to %zu bytes", block->base,
                           device->alignment);
    }
    block->is_for_kernels = true;
    block->is_for_host = block->kind == TARN_MEMORY_PINNED;
    return TARN_OK;
}

static tarn_status allocate_buffer(tarn_backend_device *device, size_t alignment, opencl_block *block) {
    cl_int error;
    block->buffer = opencl.clCreateBuffer(device->context, CL_MEM_READ_WRITE, block->size, NULL, &error);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clCreateBuffer");
    block->base_size = block->size + alignment;
    block->base = mmap(NULL, block->base_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block->base == MAP_FAILED) {
        opencl.clReleaseMemObject(block->buffer);
        return opencl_fail(TARN_OUT_OF_MEMORY, "no addresses for a buffer of %zu bytes", block->size);
    }
    block->address = align_up((uintptr_t)block->base, alignment);
    block->is_for_kernels = true;
    return TARN_OK;
}

/* Where a mapping begins is the driver's choice, so the buffer has room for the alignment. */
static tarn_status allocate_mapped(tarn_backend_device *device, size_t alignment, opencl_block *block) {
    cl_int error;
    size_t size = block->size + alignment;
    block->buffer =
        opencl.clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size, NULL, &error);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clCreateBuffer");
    block->base = opencl.clEnqueueMapBuffer(device->mapping_queue, block->buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                            0, size, 0, NULL, NULL, &error);
    if (error != CL_SUCCESS) {
        opencl.clReleaseMemObject(block->buffer);
        return opencl_fail_call(error, "clEnqueueMapBuffer");
    }
    block->address = align_up((uintptr_t)block->base, alignment);
    block->is_for_host = true;
    return TARN_OK;
}

static tarn_status allocate_host(size_t alignment, opencl_block *block) {
    block->base = aligned_alloc(alignment, align_up(block->size, alignment));
    if (block->base == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no %zu bytes of host memory", block->size);
    block->address = (uintptr_t)block->base;
    block->is_for_host = true;
    return TARN_OK;
}

static tarn_status allocate(tarn_backend_device *device, size_t alignment, opencl_block *block) {
    bool is_shared = device->path == OPENCL_MEMORY_SHARED;
    switch (block->kind) {
    case TARN_MEMORY_HOST: return allocate_host(alignment, block);
    case TARN_MEMORY_PINNED:
        return is_shared && device->has_fine_grain ? allocate_shared(device, alignment, block)
                                                   : allocate_mapped(device, alignment, block);
    default: return is_shared ? allocate_shared(device, alignment, block) : allocate_buffer(device, alignment, block);
    }
}

/* Gives the memory back; the block is in no tree. */
static tarn_status give_back(tarn_backend_device *device, opencl_block *block) {
    if (block->kind == TARN_MEMORY_HOST) {
        free(block->base);
        return TARN_OK;
    }
    if (block->buffer == NULL) {
        opencl.clSVMFree(device->context, block->base);
        return TARN_OK;
    }
    cl_int error = CL_SUCCESS;
    if (block->is_for_host) {
        error = opencl.clEnqueueUnmapMemObject(device->mapping_queue, block->buffer, block->base, 0, NULL, NULL);
        if (error == CL_SUCCESS) error = opencl.clFinish(device->mapping_queue);
        if (error != CL_SUCCESS) return opencl_fail_call(error, "clEnqueueUnmapMemObject");
        block->is_for_host = false;
    }
    error = opencl.clReleaseMemObject(block->buffer);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clReleaseMemObject");
    if (block->base_size > 0) munmap(block->base, block->base_size);
    return TARN_OK;
}

tarn_status opencl_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                   void **out_address) {
    if (size > PTRDIFF_MAX - OPENCL_MAXIMUM_ALIGNMENT)
        return opencl_fail(TARN_OUT_OF_MEMORY, "no device has a capacity of %zu bytes", size);
    tarn_status status = charge(device, size);
    if (status != TARN_OK) return status;
    opencl_block *block = calloc(1, sizeof *block);
    if (block == NULL) {
        discharge(device, size);
        return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory to note an allocation");
    }
    block->kind = kind;
    block->size = size;
    status = allocate(device, alignment, block);
    if (status == TARN_OK) {
        status = add_block(device, block);
        if (status != TARN_OK) (void)give_back(device, block);
    }
    if (status != TARN_OK) {
        free(block);
        discharge(device, size);
        return status;
    }
    *out_address = (void *)block->address;
    return TARN_OK;
}

/* The block leaves the tree before its memory is given back, for another thread may be given the same addresses at once. */
tarn_status opencl_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    (void)kind;
    opencl_block key = {.address = (uintptr_t)address, .size = 1};
    pthread_rwlock_wrlock(&device->block_lock);
    opencl_block *const *found = tfind(&key, &device->blocks, compare_blocks);
    opencl_block *block = found != NULL ? *found : NULL;
    if (block != NULL) tdelete(block, &device->blocks, compare_blocks);
    pthread_rwlock_unlock(&device->block_lock);
    if (block == NULL) return opencl_fail(TARN_INVALID_ARGUMENT, "no memory was allocated at %p", address);
    tarn_status status = give_back(device, block);
    if (status != TARN_OK) {
        /* It stays the caller's; the tree has just had room for it. */
        if (add_block(device, block) != TARN_OK)
            opencl_host->log(TARN_LOG_WARNING, "%zu bytes at %p are lost", size, address);
        return status;
    }
    free(block);
    discharge(device, size);
    return TARN_OK;
}

/* A node of the tree begins with the key, which <search.h> promises. */
void opencl_memory_end(tarn_backend_device *device) {
    while (device->blocks != NULL) {
        opencl_block *block = *(opencl_block **)device->blocks;
        tdelete(block, &device->blocks, compare_blocks);
        (void)give_back(device, block);
        free(block);
    }
}
