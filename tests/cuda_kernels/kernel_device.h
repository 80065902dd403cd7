/* The device whose kernels are tested, with memory for their operands that the host reads and writes too. */
#ifndef KERNEL_DEVICE_H
#define KERNEL_DEVICE_H

#include <stddef.h>

#include <tarn/backend_operations.h>
#include <tarn/tarn.h>

#define KERNEL_OPERANDS 5

typedef struct kernel_device {
    tarn_device *device; /* NULL: there is none */
    tarn_stream *stream;
    void *memory[KERNEL_OPERANDS];
    size_t room; /* bytes of each */
} kernel_device;

/* Without a device it says so, and each test that needs one is skipped. */
void kernel_device_open(kernel_device *opened, size_t room);
/* Fails the test where the driver was used wrongly. */
void kernel_device_close(kernel_device *closed);
void kernel_device_need(const kernel_device *needed);
/* Runs an operation to its end. */
void kernel_device_run(const kernel_device *on, const tarn_backend_operation *operation);

#endif
