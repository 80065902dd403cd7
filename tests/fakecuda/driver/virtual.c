/* Virtual memory: addresses that are reserved, physical memory that is made, and the one put behind the other. Mapping and access
 * are granules of 2 MiB, as on current GPUs. */
#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct fake_reservation {
    CUdeviceptr start;
    size_t size;
    char *base;
    size_t base_size;
    struct fake_reservation *next;
} fake_reservation;
static fake_reservation *reservations;
static size_t reserved;

static fake_reservation *reservation_at(CUdeviceptr address, size_t size) {
    for (fake_reservation *at = reservations; at != NULL; at = at->next)
        if (address >= at->start && address - at->start < at->size && size <= at->size - (address - at->start))
            return at;
    return NULL;
}

bool reservation_covers(CUdeviceptr address, size_t size) { return reservation_at(address, size) != NULL; }
size_t reservation_count(void) { return reserved; }

void reservations_reset(void) {
    while (reservations != NULL) {
        fake_reservation *next = reservations->next;
        addresses_give(reservations->base, reservations->base_size);
        free(reservations);
        reservations = next;
    }
    reserved = 0;
    ranges_reset();
}

static bool is_whole(unsigned long long value) { return value % GRANULE == 0; }

/* The device that memory of these properties lies on; NULL when this driver has none such. */
static fake_device *device_of(const CUmemAllocationProp *properties, CUresult *error) {
    *error = CUDA_ERROR_INVALID_VALUE;
    if (properties == NULL || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED) return NULL;
    if (properties->location.type == CU_MEM_LOCATION_TYPE_HOST ||
        properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA)
        *error = CUDA_ERROR_NOT_SUPPORTED;
    if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE) return NULL;
    if ((properties->requestedHandleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != 0) {
        *error = CUDA_ERROR_NOT_SUPPORTED;
        return NULL;
    }
    *error = CUDA_ERROR_INVALID_DEVICE;
    return device_at(properties->location.id);
}

CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
                                       CUmemAllocationGranularity_flags option) {
    ENTER(cuMemGetAllocationGranularity);
    if (granularity == NULL || (unsigned)option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUresult error;
    if (device_of(properties, &error) == NULL) LEAVE(error);
    *granularity = GRANULE;
    LEAVE(CUDA_SUCCESS);
}

static CUresult reserve(CUdeviceptr *pointer, size_t size, size_t alignment, unsigned long long flags) {
    if (pointer == NULL || size == 0 || !is_whole(size) || flags != 0 || (alignment & (alignment - 1)) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    char *base;
    size_t base_size;
    char *start = addresses_take(size, alignment > GRANULE ? alignment : GRANULE, &base, &base_size);
    if (start == NULL) return CUDA_ERROR_OUT_OF_MEMORY;
    fake_reservation *made = obtain(sizeof *made);
    *made = (fake_reservation){(CUdeviceptr)(uintptr_t)start, size, base, base_size, reservations};
    reservations = made;
    reserved++;
    *pointer = made->start;
    return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr *pointer, size_t size, size_t alignment, CUdeviceptr wish,
                             unsigned long long flags) {
    ENTER(cuMemAddressReserve);
    (void)wish; /* only a wish, and not granted */
    LEAVE(reserve(pointer, size, alignment, flags));
}

/* Whether anything is mapped in the range. */
static bool has_mapping(CUdeviceptr start, size_t size) {
    size_t count;
    fake_range **all = range_list(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->start < start + size && start < all[i]->start + all[i]->size) return true;
    return false;
}

CUresult cuMemAddressFree(CUdeviceptr pointer, size_t size) {
    ENTER(cuMemAddressFree);
    for (fake_reservation **at = &reservations; *at != NULL; at = &(*at)->next) {
        fake_reservation *found = *at;
        if (found->start != pointer || found->size != size) continue;
        if (has_mapping(pointer, size))
            LEAVE(VIOLATION(CUDA_ERROR_INVALID_VALUE, "the reservation at 0x%llx still has mappings", pointer));
        *at = found->next;
        addresses_give(found->base, found->base_size);
        free(found);
        reserved--;
        LEAVE(CUDA_SUCCESS);
    }
    LEAVE(VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx with %zu bytes is no reservation", pointer, size));
}

/* Handles of physical memory are slots; each reference by a handle counts as one of the memory. */
static CUmemGenericAllocationHandle give_handle(fake_physical *memory) {
    memory->handle = (CUmemGenericAllocationHandle)(uintptr_t)handle_make(HANDLE_PHYSICAL, memory);
    memory->handle_count = 1;
    return memory->handle;
}

static fake_physical *memory_of(CUmemGenericAllocationHandle handle) {
    fake_physical *found = handle_object(HANDLE_PHYSICAL, (const void *)(uintptr_t)handle);
    if (found == NULL && handle == 0) violation("no physical memory is given");
    return found;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *properties,
                     unsigned long long flags) {
    ENTER(cuMemCreate);
    CUresult error;
    fake_device *on = device_of(properties, &error);
    if (on == NULL) LEAVE(error);
    if (handle == NULL || size == 0 || !is_whole(size) || flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (size > the_driver.settings.memory) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    fake_physical *made = physical_make(on, size, size, false);
    if (made == NULL) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    made->properties = *properties;
    *handle = give_handle(made);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    ENTER(cuMemRelease);
    fake_physical *memory = memory_of(handle);
    if (memory == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (--memory->handle_count == 0) {
        handle_end((void *)(uintptr_t)handle);
        memory->handle = 0;
        physical_drop(memory);
    }
    LEAVE(CUDA_SUCCESS);
}

static CUresult map(CUdeviceptr pointer, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                    unsigned long long flags) {
    fake_physical *memory = memory_of(handle);
    if (memory == NULL || size == 0 || !is_whole(pointer) || !is_whole(size) || offset != 0 || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (size > memory->size)
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "%zu bytes of %zu are to be mapped", size, memory->size);
    if (!reservation_covers(pointer, size))
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx are not reserved", size, pointer);
    if (has_mapping(pointer, size))
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "of %zu bytes at 0x%llx some are mapped", size, pointer);
    fake_range *made = range_make(RANGE_MAPPING, memory->on != NULL ? memory->on : device_at(0), pointer, size);
    made->memory = memory;
    physical_hold(memory);
    if (range_map(made)) return CUDA_SUCCESS;
    range_end(made);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemMap(CUdeviceptr pointer, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
    ENTER(cuMemMap);
    LEAVE(map(pointer, size, offset, handle, flags));
}

/* The range must be whole mappings without a hole; `each` is called for them when it is. */
static CUresult for_mappings(CUdeviceptr pointer, size_t size, void (*each)(fake_range *, const void *),
                             const void *context) {
    CUdeviceptr end = pointer + size;
    if (size == 0 || end < pointer) return CUDA_ERROR_INVALID_VALUE;
    const fake_range *at;
    for (CUdeviceptr address = pointer; address < end; address = at->start + at->size) {
        at = range_find(address);
        if (at == NULL || at->kind != RANGE_MAPPING || at->start != address || at->start + at->size > end)
            return VIOLATION(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx are not whole mappings", size, pointer);
    }
    for (CUdeviceptr address = pointer; address < end;) {
        fake_range *mapping = range_find(address);
        address = mapping->start + mapping->size;
        each(mapping, context);
    }
    return CUDA_SUCCESS;
}

static void unmap(fake_range *range, const void *context) {
    (void)context;
    if (tasks_use(range->start, range->size)) violation("0x%llx is unmapped while work uses it", range->start);
    range_end(range);
}

CUresult cuMemUnmap(CUdeviceptr pointer, size_t size) {
    ENTER(cuMemUnmap);
    LEAVE(for_mappings(pointer, size, unmap, NULL));
}

static void set_access(fake_range *range, const void *context) {
    const CUmemAccessDesc *description = context;
    unsigned bit = 1u << description->location.id;
    range->readers &= ~bit;
    range->writers &= ~bit;
    if ((description->flags & CU_MEM_ACCESS_FLAGS_PROT_READ) != 0) range->readers |= bit;
    if (description->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) range->writers |= bit;
}

static CUresult grant(CUdeviceptr pointer, size_t size, const CUmemAccessDesc *descriptions, size_t count) {
    if (descriptions == NULL || count == 0) return CUDA_ERROR_INVALID_VALUE;
    const fake_range *first = range_find(pointer);
    for (size_t i = 0; i < count; i++) {
        if (descriptions[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
        if (device_at(descriptions[i].location.id) == NULL) return CUDA_ERROR_INVALID_DEVICE;
        if (descriptions[i].flags == 2 || (unsigned)descriptions[i].flags > 3) return CUDA_ERROR_INVALID_VALUE;
        if (first != NULL && !the_driver.settings.peers && descriptions[i].location.id != first->on->ordinal)
            return CUDA_ERROR_INVALID_DEVICE;
    }
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = for_mappings(pointer, size, set_access, &descriptions[i]);
    return result;
}

CUresult cuMemSetAccess(CUdeviceptr pointer, size_t size, const CUmemAccessDesc *descriptions, size_t count) {
    ENTER(cuMemSetAccess);
    LEAVE(grant(pointer, size, descriptions, count));
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr pointer) {
    ENTER(cuMemGetAccess);
    const fake_range *range = range_find(pointer);
    if (flags == NULL || location == NULL || range == NULL || range->kind != RANGE_MAPPING)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || device_at(location->id) == NULL)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    *flags = (range->readers >> location->id & 1) | (range->writers >> location->id & 1) << 1;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    ENTER(cuMemRetainAllocationHandle);
    const fake_range *range = range_find((CUdeviceptr)(uintptr_t)address);
    if (handle == NULL || range == NULL || range->kind != RANGE_MAPPING) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_physical *memory = range->memory;
    if (memory->handle == 0) {
        physical_hold(memory);
        give_handle(memory);
    } else {
        memory->handle_count++;
    }
    *handle = memory->handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle) {
    ENTER(cuMemGetAllocationPropertiesFromHandle);
    const fake_physical *memory = memory_of(handle);
    if (properties == NULL || memory == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *properties = memory->properties;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemExportToShareableHandle(void *shared, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                                      unsigned long long flags) {
    ENTER(cuMemExportToShareableHandle);
    fake_physical *memory = memory_of(handle);
    if (shared == NULL || memory == NULL || flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || (memory->properties.requestedHandleTypes & type) == 0)
        LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    int file = physical_export(memory);
    if (file < 0) LEAVE(CUDA_ERROR_OPERATING_SYSTEM);
    *(int *)shared = file;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shared,
                                        CUmemAllocationHandleType type) {
    ENTER(cuMemImportFromShareableHandle);
    if (handle == NULL || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_physical *made = physical_import((int)(intptr_t)shared);
    if (made == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    made->properties = (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                             .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    *handle = give_handle(made);
    LEAVE(CUDA_SUCCESS);
}
