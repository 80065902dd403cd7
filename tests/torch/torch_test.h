/* What the tests of the plug-in share. Number N is the device "sim:NGiB", opened by whichever test asks for it first. */
#ifndef TORCH_TEST_H
#define TORCH_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "bench.h"
#include "torch/torch.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* What the stack of a device says of itself. */
static inline tarn_memory_stats stats_of(int device) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(tarn_torch_allocator(device), &stats));
    return stats;
}

/* Bytes that the device has handed out. */
static inline uint64_t memory_of(int device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    EXPECT_OK(tarn_device_counters_get(tarn_allocator_device(tarn_torch_allocator(device)), &counters));
    return counters.memory_in_use;
}

#endif
