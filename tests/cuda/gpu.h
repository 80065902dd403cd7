/* What the tests of the CUDA backend stand on: the device cuda:0 of the driver that is there, real or fake, and one place in pinned memory
 * through which the host writes and reads the device's. */
#ifndef TESTS_CUDA_GPU_H
#define TESTS_CUDA_GPU_H

#include "check.h"

#include "fake_cuda.h"
#include "hal/memory.h"

#define MIB ((size_t)1 << 20)

/* Opens cuda:0; skips the test where there is none. */
tarn_device *gpu_open(void);
/* Releases it, and fails where the fake driver was used wrongly, or still has anything that was made. */
void gpu_close(tarn_device *device);
/* Skips the test where the driver that a child finds is not the fake one: this process has none afterwards, so that its children can. */
void gpu_need_fake(void);
/* The fake driver; skips the test where the driver is a real one, or there is none. */
const fake_cuda *gpu_fake(void);

/* Of which faults a sweep tries one: each in a plain build, every fifth where everything takes long. */
unsigned gpu_stride(void);

void *gpu_allocate(tarn_device *device, tarn_memory_kind kind, size_t size);
void gpu_free(tarn_device *device, tarn_memory_kind kind, void *address, size_t size);
/* Copies by way of pinned memory, and waits. */
void gpu_write(tarn_device *device, void *destination, const void *bytes, size_t size);
void gpu_read(tarn_device *device, void *out_bytes, const void *source, size_t size);

#endif
