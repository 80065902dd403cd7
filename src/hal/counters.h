/* Counting what reaches the driver, for the functions of memory.h. */
#ifndef HAL_COUNTERS_H
#define HAL_COUNTERS_H

#include "hal/types.h"

static inline void hal_count(atomic_uint_fast64_t *counter, uint64_t times) {
    atomic_fetch_add_explicit(counter, times, memory_order_relaxed);
}

/* The device's physical memory in use grew, and below shrank, by `bytes`. */
static inline void hal_count_taken(tarn_device *device, uint64_t bytes) {
    hal_counters *counters = &device->counters;
    uint64_t in_use = atomic_fetch_add_explicit(&counters->in_use, bytes, memory_order_relaxed) + bytes;
    uint64_t peak = atomic_load_explicit(&counters->peak, memory_order_relaxed);
    while (in_use > peak && !atomic_compare_exchange_weak_explicit(&counters->peak, &peak, in_use, memory_order_relaxed,
                                                                   memory_order_relaxed)) {}
}

static inline void hal_count_given_back(tarn_device *device, uint64_t bytes) {
    atomic_fetch_sub_explicit(&device->counters.in_use, bytes, memory_order_relaxed);
}

#endif
