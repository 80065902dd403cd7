/* The device whose kernels are tested; see kernel_device.h. */
#include "kernel_device.h"

#include "bench.h"
#include "fake_cuda.h"
#include "hal/memory.h"
#include "hal/operation.h"

void kernel_device_open(kernel_device *opened, size_t room) {
    *opened = (kernel_device){.room = room};
    tarn_status status = tarn_device_open("cuda:0", &opened->device);
    if (status == TARN_UNAVAILABLE) {
        print_message("skipped: %s\n", tarn_last_error());
        return;
    }
    EXPECT_OK(status);
    opened->stream = tarn_device_default_stream(opened->device);
    for (int i = 0; i < KERNEL_OPERANDS; i++)
        EXPECT_OK(hal_memory_allocate(opened->device, TARN_MEMORY_PINNED, room, 256, &opened->memory[i]));
}

void kernel_device_close(kernel_device *closed) {
    if (closed->device == NULL) return;
    for (int i = 0; i < KERNEL_OPERANDS; i++)
        EXPECT_OK(hal_memory_free(closed->device, TARN_MEMORY_PINNED, closed->memory[i], closed->room));
    EXPECT_OK(tarn_device_release(closed->device));
    const fake_cuda *fake = fake_cuda_find();
    const char *sentence;
    if (fake != NULL && fake->violations(&sentence) != 0) fail_msg("the driver was used wrongly: %s", sentence);
}

void kernel_device_need(const kernel_device *needed) {
    if (needed->device == NULL) skip();
}

void kernel_device_run(const kernel_device *on, const tarn_backend_operation *operation) {
    EXPECT_OK(hal_operation_enqueue(on->stream, operation));
    EXPECT_OK(tarn_stream_synchronize(on->stream));
}
