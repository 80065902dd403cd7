/* The fake driver's pools, apart from its table: each keeps a list of what it handed out. Bytes of memory that was freed are the pool's
 * own, for later allocations, once the stream has done the work before the free, until the pool is trimmed. On the stream of the
 * free an allocation of the same size gets the same memory at once. All functions are called with fake_lock held. */
#ifndef TESTS_SUPPORT_FAKE_POOL_H
#define TESTS_SUPPORT_FAKE_POOL_H

#include "fake_memory.h"
#include "fake_stream.h"

tarn_backend_pool *fake_pool_add(void);
/* Memory that is not freed is a violation, unless the device is lost. */
void fake_pool_end(tarn_backend_pool *pool, fake_memory *memory, bool is_lost);
tarn_status fake_pool_allocate(tarn_backend_pool *pool, fake_memory *memory, tarn_backend_stream *stream, size_t size,
                               uint64_t capacity, void **out_address);
tarn_status fake_pool_free(tarn_backend_pool *pool, tarn_backend_stream *stream, uintptr_t address, size_t size);
void fake_pool_trim(tarn_backend_pool *pool, fake_memory *memory, uint64_t keep);
tarn_backend_pool_figures fake_pool_figures(tarn_backend_pool *pool, fake_memory *memory);
void fake_pool_reset_peaks(tarn_backend_pool *pool);

#endif
