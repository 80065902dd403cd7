/* Pools of stream-ordered memory, as allocators reach them: checked and counted like the rest of a device's memory.
 *
 * The device's counters have what a pool hands out, from the allocation to the call that frees it, and not what the driver keeps in
 * the pool besides: the driver alone knows that, and says it in the figures.
 *
 * A stream that is being captured is refused (INVALID_STATE): captured work runs later and on other streams, which are not in the
 * order of this one. Otherwise as in hal/memory.h. */
#ifndef HAL_POOL_H
#define HAL_POOL_H

#include "hal/device.h"

typedef struct hal_pool hal_pool;

/* NOT_SUPPORTED where the device has no such memory. The caller keeps the device alive. */
tarn_status hal_pool_create(tarn_device *device, const tarn_backend_pool_options *options, hal_pool **out_pool);
/* All that it handed out has been freed. NULL is allowed. */
void hal_pool_destroy(hal_pool *pool);

/* `size` is rounded up by the driver; the memory is aligned to the device's alignment. */
tarn_status hal_pool_allocate(hal_pool *pool, tarn_stream *stream, size_t size, void **out_address);
/* When the backend fails, the memory still belongs to the caller, who may try again. */
tarn_status hal_pool_free(hal_pool *pool, tarn_stream *stream, void *address, size_t size);
tarn_status hal_pool_trim(hal_pool *pool, uint64_t keep);
/* Fills the members after struct_size. They are read one after the other while other threads may use the pool; no peak is below its
 * figure. */
tarn_status hal_pool_figures(hal_pool *pool, tarn_backend_pool_figures *out_figures);
tarn_status hal_pool_reset_peaks(hal_pool *pool);

#endif
