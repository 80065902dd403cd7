/* Who may reach the memory that is mapped: the device itself, and the peers that it was opened to.
 *
 * The driver grants access to mapped memory range by range, and forgets it when a range is unmapped. So a device notes what it has mapped (a bit
 * for each granule of each reserved range, and each shared allocation) and who may reach it, and both what is mapped later and who
 * is let in later find the other list. Pools are opened as wholes. One lock holds the two together, also while the driver is called: nothing is mapped while a
 * peer is let in, and the driver itself does these calls one after the other. */
#include "backends/cuda/cuda_internal.h"
#include "base/memory.h"

#define BITS 64

static bool is_mapped(const cuda_reservation *reservation, size_t granule) {
    return (reservation->mapped[granule / BITS] >> granule % BITS & 1u) != 0;
}

cuda_reservation *cuda_reservation_create(size_t granules) {
    cuda_reservation *reservation = base_allocate(1, sizeof *reservation);
    if (reservation == NULL) return NULL;
    reservation->mapped = base_allocate((granules + BITS - 1) / BITS, sizeof *reservation->mapped);
    if (reservation->mapped != NULL) return reservation;
    base_free(reservation);
    return NULL;
}

void cuda_reservation_destroy(cuda_reservation *reservation) {
    if (reservation == NULL) return;
    base_free(reservation->mapped);
    base_free(reservation);
}

/* The reservation that holds a range of granules, and the number of the first. */
static cuda_reservation *find_granules(tarn_backend_device *device, driver_pointer address, size_t *out_first) {
    cuda_reservation *reservation = (cuda_reservation *)base_range_containing(device->reservations, address);
    *out_first = (address - reservation->range.start) / device->granule;
    return reservation;
}

tarn_status cuda_reservation_check(tarn_backend_device *device, driver_pointer address, size_t count, bool are_mapped) {
    size_t first;
    const cuda_reservation *reservation = find_granules(device, address, &first);
    for (size_t i = 0; i < count; i++) {
        if (is_mapped(reservation, first + i) == are_mapped) continue;
        return cuda_fail(TARN_INVALID_ARGUMENT, "granule %zu of the range is %s", i,
                         are_mapped ? "not mapped" : "mapped already");
    }
    return TARN_OK;
}

void cuda_reservation_mark(tarn_backend_device *device, driver_pointer address, size_t count, bool are_mapped) {
    size_t first;
    cuda_reservation *reservation = find_granules(device, address, &first);
    for (size_t i = first; i < first + count; i++) {
        uint64_t bit = UINT64_C(1) << i % BITS;
        if (are_mapped) reservation->mapped[i / BITS] |= bit;
        else reservation->mapped[i / BITS] &= ~bit;
    }
}

static driver_access access_of(int ordinal, driver_access_flags flags) {
    return (driver_access){.location = {.type = DRIVER_LOCATION_DEVICE, .id = ordinal}, .flags = flags};
}

size_t cuda_access_list(const tarn_backend_device *device, driver_access *out_list) {
    for (size_t i = 0; i < device->accessor_count; i++)
        out_list[i] = access_of(device->accessors[i].ordinal, DRIVER_ACCESS_READ_WRITE);
    return device->accessor_count;
}

tarn_status cuda_access_open(tarn_backend_device *device, driver_pointer address, size_t size) {
    driver_access list[1 + CUDA_MAXIMUM_PEERS];
    list[0] = access_of(device->ordinal, DRIVER_ACCESS_READ_WRITE);
    size_t count = 1 + cuda_access_list(device, list + 1);
    return CUDA_CALL(cuMemSetAccess, address, size, list, count);
}

/* Calls the driver for each run of mapped granules of a reservation. */
static tarn_status set_reservation(const tarn_backend_device *owner, const cuda_reservation *reservation,
                                   const driver_access *access) {
    size_t count = reservation->range.size / owner->granule;
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        if (!is_mapped(reservation, i)) continue;
        size_t end = i;
        while (end < count && is_mapped(reservation, end)) end++;
        status = CUDA_CALL(cuMemSetAccess, reservation->range.start + i * owner->granule, (end - i) * owner->granule,
                           access, 1);
        i = end;
    }
    return status;
}

/* Sets the access of one device to all that the owner has mapped, and to its pools. Must be called with the mapping lock held. */
static tarn_status set_everywhere(tarn_backend_device *owner, const driver_access *access) {
    tarn_status status = TARN_OK;
    base_range *range = owner->reservations != NULL ? base_range_after(owner->reservations, 0) : NULL;
    for (; range != NULL && status == TARN_OK; range = base_range_after(owner->reservations, range->start))
        status = set_reservation(owner, (cuda_reservation *)range, access);
    range = owner->shared != NULL ? base_range_after(owner->shared, 0) : NULL;
    for (; range != NULL && status == TARN_OK; range = base_range_after(owner->shared, range->start))
        status = CUDA_CALL(cuMemSetAccess, range->start, range->size, access, 1);
    return status == TARN_OK ? cuda_pools_set_access(owner, access) : status;
}

tarn_status cuda_access_grant(tarn_backend_device *owner, cuda_accessor accessor) {
    const driver_access access = access_of(accessor.ordinal, DRIVER_ACCESS_READ_WRITE);
    const driver_access nothing = access_of(accessor.ordinal, DRIVER_ACCESS_NONE);
    tarn_status status;
    pthread_mutex_lock(&owner->mapping_lock);
    if (owner->accessor_count == CUDA_MAXIMUM_PEERS) {
        status = cuda_fail(TARN_LIMIT_EXCEEDED, "%d devices reach the memory of one already", CUDA_MAXIMUM_PEERS);
    } else {
        status = set_everywhere(owner, &access);
        if (status == TARN_OK) owner->accessors[owner->accessor_count++] = accessor;
        else if (status != TARN_DEVICE_LOST) (void)set_everywhere(owner, &nothing);
    }
    pthread_mutex_unlock(&owner->mapping_lock);
    return status;
}

tarn_status cuda_access_withdraw(tarn_backend_device *owner, int ordinal, cuda_accessor *out_accessor) {
    const driver_access nothing = access_of(ordinal, DRIVER_ACCESS_NONE);
    pthread_mutex_lock(&owner->mapping_lock);
    size_t place = 0;
    while (place < owner->accessor_count && owner->accessors[place].ordinal != ordinal) place++;
    *out_accessor = (cuda_accessor){.ordinal = ordinal};
    if (place < owner->accessor_count) {
        *out_accessor = owner->accessors[place];
        owner->accessors[place] = owner->accessors[--owner->accessor_count];
    }
    tarn_status status = set_everywhere(owner, &nothing);
    pthread_mutex_unlock(&owner->mapping_lock);
    return status;
}
