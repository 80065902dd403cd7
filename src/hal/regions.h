/* What a device's driver has handed out, by address: so that an answer that overlaps a living block is caught, and
 * that only what was handed out is given back. */
#ifndef HAL_REGIONS_H
#define HAL_REGIONS_H

#include "base/range_map.h"
#include "hal/types.h"

/* The kind of a range of addresses without memory; the others are those of tarn_memory_kind. */
#define HAL_REGION_RESERVATION TARN_MEMORY_KIND_COUNT
/* The kind of memory of another process. */
#define HAL_REGION_IMPORTED (TARN_MEMORY_KIND_COUNT + 1)
/* The kind of memory of a pool. */
#define HAL_REGION_POOLED (TARN_MEMORY_KIND_COUNT + 2)

typedef struct hal_region {
    base_range range; /* the first member: a range is cast back to its region */
    int kind;
} hal_region;

/* NULL when there is no host memory. */
hal_region *hal_region_create(void);
void hal_region_destroy(hal_region *region);
/* Remembers [address, address + size) in `region`. INTERNAL, and nothing remembered, when that is NULL, not aligned, wraps or
 * overlaps a living region; `*out_is_apart` then says whether it may be handed back without hurting another. */
tarn_status hal_region_add(tarn_device *device, hal_region *region, int kind, void *address, size_t size,
                           size_t alignment, bool *out_is_apart);
/* Whether [address, address + size) lies in one living region of that kind. */
bool hal_region_holds(tarn_device *device, int kind, const void *address, size_t size);
/* Whether `address` lies in a living region that ends before `address + size`. */
bool hal_region_is_left(tarn_device *device, const void *address, size_t size);
/* Copies the living region that [address, address + size) lies in; false when there is none. */
bool hal_region_containing(tarn_device *device, const void *address, size_t size, hal_region *out_region);
/* Takes the region out, to be destroyed or put back. INVALID_ARGUMENT when none starts there with that kind and size. */
tarn_status hal_region_take(tarn_device *device, int kind, void *address, size_t size, hal_region **out_region);
void hal_region_put_back(tarn_device *device, hal_region *region);

#endif
