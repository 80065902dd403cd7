/* The benchmarks of one device: `ops` and `alloc` with --device. */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "harness.h"

/* As bench_operations and bench_alloc, for the device that the options name. */
int device_operations(const bench_options *options, json_t **out_result);
int device_allocations(const bench_options *options, json_t **out_result);

#endif
