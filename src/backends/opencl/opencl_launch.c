/* Launching kernels. */
#include "backends/opencl/opencl_compile.h"

opencl_launch opencl_launch_begin(tarn_backend_device *device, tarn_backend_stream *stream, opencl_compiled *compiled,
                                  int kernel) {
    pthread_mutex_lock(&compiled->lock);
    return (opencl_launch){.device = device,
                           .stream = stream,
                           .compiled = compiled,
                           .kernel = compiled->kernels[kernel],
                           .status = TARN_OK};
}

static void note(opencl_launch *launch, cl_int error, const char *call) {
    if (error != CL_SUCCESS && launch->status == TARN_OK) launch->status = opencl_fail_call(error, call);
}

void opencl_launch_value(opencl_launch *launch, const void *value, size_t size) {
    note(launch, opencl.clSetKernelArg(launch->kernel, launch->next++, size, value), "clSetKernelArg");
}

void opencl_launch_long(opencl_launch *launch, int64_t value) {
    cl_long number = value;
    opencl_launch_value(launch, &number, sizeof number);
}

void opencl_launch_local(opencl_launch *launch, size_t size) { opencl_launch_value(launch, NULL, size); }

void opencl_launch_buffer(opencl_launch *launch, cl_mem buffer) { opencl_launch_value(launch, &buffer, sizeof buffer); }

void opencl_launch_address(opencl_launch *launch, const void *address) {
    opencl_block block;
    if (!opencl_memory_find(launch->device, address, &block) || !block.is_for_kernels) {
        if (launch->status == TARN_OK) {
            launch->status = opencl_fail(TARN_NOT_SUPPORTED,
                                         "the kernels of an OpenCL device do not reach the memory at %p", address);
        }
        return;
    }
    if (block.buffer != NULL) {
        opencl_launch_buffer(launch, block.buffer);
    } else {
        note(launch, opencl.clSetKernelArgSVMPointer(launch->kernel, launch->next++, (void *)block.address),
             "clSetKernelArgSVMPointer");
    }
    opencl_launch_long(launch, (int64_t)((uintptr_t)address - block.address));
}

tarn_status opencl_launch_enqueue(opencl_launch *launch, size_t groups, size_t size, size_t second) {
    const size_t global[2] = {groups * size, second}, local[2] = {size, 1};
    cl_event event = NULL;
    if (launch->status == TARN_OK) {
        cl_int error = opencl.clEnqueueNDRangeKernel(launch->stream->queue, launch->kernel, 2, NULL, global, local, 0,
                                                     NULL, &event);
        note(launch, error, "clEnqueueNDRangeKernel");
    }
    pthread_mutex_unlock(&launch->compiled->lock);
    if (launch->status == TARN_OK) opencl_stream_began(launch->stream, event);
    return launch->status;
}
