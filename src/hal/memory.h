/* The one door through which allocators reach a device's memory.
 *
 * Each call is checked before the backend sees it, and the backend's answer before the allocator sees it: a driver that
 * says OK with no memory, misaligned memory or memory that is already in use is caught here (INTERNAL; what it gave is
 * handed back where that cannot hurt another block). What reached the driver is counted for tarn_device_counters_get.
 *
 * Any thread. Outputs are untouched on failure; each call succeeds whole or changes nothing. A lost device, a forked child and
 * a process that exits fail at once with DEVICE_LOST or UNAVAILABLE, except that frees, releases and unmaps then succeed on
 * the host side alone. Sentences begin with the device's name. */
#ifndef HAL_MEMORY_H
#define HAL_MEMORY_H

#include "hal/device.h"

/* "device", "pinned" …; NULL for what is no kind. */
const char *hal_memory_kind_name(tarn_memory_kind kind);

/* `alignment` 0 means the device's; otherwise a power of two up to maximum_alignment. INVALID_ARGUMENT, NOT_SUPPORTED for a
 * kind that the device lacks, OUT_OF_MEMORY when there is none left. */
tarn_status hal_memory_allocate(tarn_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                void **out_address);
/* Kind and size as they were allocated, else INVALID_ARGUMENT. Work that used the memory has finished. When the
 * backend fails, the memory still belongs to the caller, who may try again. */
tarn_status hal_memory_free(tarn_device *device, tarn_memory_kind kind, void *address, size_t size);

/* Opens a descriptor for the SHARED allocation that [address, address + size) lies in, and writes where that begins and how large it
 * is. The caller closes the descriptor. NOT_SUPPORTED for other memory. */
tarn_status hal_memory_export(tarn_device *device, const void *address, size_t size, void **out_segment,
                              size_t *out_segment_size, int *out_descriptor);
/* Maps memory of another process; it is not counted as the device's. The descriptor stays the caller's. INVALID_ARGUMENT for one that is not
 * such memory of that size, INVALID_STATE where its owner has given it back, NOT_SUPPORTED, OUT_OF_MEMORY. */
tarn_status hal_memory_import(tarn_device *device, int descriptor, size_t size, void **out_address);
/* Gives it back, as hal_memory_free. */
tarn_status hal_memory_close(tarn_device *device, void *address, size_t size);

/* Address ranges without memory behind them: `size` is a multiple of the granule. NOT_SUPPORTED without virtual memory.
 * Everything is unmapped before the release. */
tarn_status hal_virtual_reserve(tarn_device *device, size_t size, void **out_address);
tarn_status hal_virtual_release(tarn_device *device, void *address, size_t size);

/* Physical memory without an address, `count` granules at once. They are unmapped before their release. */
tarn_status hal_granules_create(tarn_device *device, size_t count, tarn_backend_granule *out_granules);
tarn_status hal_granules_release(tarn_device *device, size_t count, const tarn_backend_granule *granules);

/* Maps `count` granules one after the other from `address` on, inside one reservation. What was in them before is not
 * promised to be there still. */
tarn_status hal_virtual_map(tarn_device *device, void *address, size_t count, const tarn_backend_granule *granules);
/* Work that used the range has finished. The granules stay the caller's. */
tarn_status hal_virtual_unmap(tarn_device *device, void *address, size_t count);

#endif
