/* Copies and fills. Which command does it follows from where the memory lies: in shared virtual memory, in a buffer, or with the host. What
 * concerns the host alone is done by a host function, so that it happens in the stream's order too. */
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_internal.h"

opencl_end opencl_end_of(tarn_backend_device *device, const void *address) {
    opencl_block block;
    opencl_end end = {.address = (void *)(uintptr_t)address};
    if (!opencl_memory_find(device, address, &block) || block.is_for_host) return end;
    end.buffer = block.buffer;
    end.offset = (uintptr_t)address - block.address;
    end.is_shared = block.buffer == NULL;
    return end;
}

/* What a host function copies or fills. */
typedef struct host_bytes {
    void *destination;
    const void *source; /* NULL: a fill */
    unsigned char pattern[8];
    size_t pattern_size, size;
} host_bytes;

static void move_bytes(void *context) {
    host_bytes *bytes = context;
    if (bytes->source != NULL) {
        memcpy(bytes->destination, bytes->source, bytes->size);
    } else if (bytes->pattern_size == 1) {
        memset(bytes->destination, bytes->pattern[0], bytes->size);
    } else {
        for (size_t i = 0; i < bytes->size; i += bytes->pattern_size)
            memcpy((char *)bytes->destination + i, bytes->pattern, bytes->pattern_size);
    }
    free(bytes);
}

static tarn_status enqueue_bytes(tarn_backend_device *device, tarn_backend_stream *stream, const host_bytes *bytes) {
    host_bytes *copy = malloc(sizeof *copy);
    if (copy == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory to enqueue a copy");
    *copy = *bytes;
    tarn_status status = opencl_stream_host_function(device, stream, move_bytes, copy);
    if (status != TARN_OK) free(copy);
    return status;
}

tarn_status opencl_finish_enqueue(tarn_backend_stream *stream, cl_int error, const char *call, cl_event event) {
    if (error != CL_SUCCESS) return opencl_fail_call(error, call);
    opencl_stream_began(stream, event);
    return TARN_OK;
}

tarn_status opencl_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size) {
    opencl_end to = opencl_end_of(device, destination), from = opencl_end_of(device, source);
    cl_event event = NULL;
    if (to.is_shared || from.is_shared) {
        cl_int error = opencl.clEnqueueSVMMemcpy(stream->queue, CL_FALSE, destination, source, size, 0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueSVMMemcpy", event);
    }
    if (to.buffer != NULL && from.buffer != NULL) {
        cl_int error = opencl.clEnqueueCopyBuffer(stream->queue, from.buffer, to.buffer, from.offset, to.offset, size,
                                                  0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueCopyBuffer", event);
    }
    if (to.buffer != NULL) {
        cl_int error =
            opencl.clEnqueueWriteBuffer(stream->queue, to.buffer, CL_FALSE, to.offset, size, source, 0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueWriteBuffer", event);
    }
    if (from.buffer != NULL) {
        cl_int error = opencl.clEnqueueReadBuffer(stream->queue, from.buffer, CL_FALSE, from.offset, size, destination,
                                                  0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueReadBuffer", event);
    }
    return enqueue_bytes(device, stream, &(host_bytes){.destination = destination, .source = source, .size = size});
}

tarn_status opencl_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size) {
    opencl_end to = opencl_end_of(device, destination);
    cl_event event = NULL;
    if (to.is_shared) {
        cl_int error =
            opencl.clEnqueueSVMMemFill(stream->queue, destination, pattern, pattern_size, size, 0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueSVMMemFill", event);
    }
    if (to.buffer != NULL) {
        cl_int error = opencl.clEnqueueFillBuffer(stream->queue, to.buffer, pattern, pattern_size, to.offset, size, 0,
                                                  NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueFillBuffer", event);
    }
    host_bytes bytes = {.destination = destination, .pattern_size = pattern_size, .size = size};
    memcpy(bytes.pattern, pattern, pattern_size);
    return enqueue_bytes(device, stream, &bytes);
}
