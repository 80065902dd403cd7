/* Copies and fills. What is copied from ordinary host memory is taken when the call is made, what is copied to it is there when the
 * call returns; pinned memory is read and written when the work runs, so that a program which uses it too early is found out. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "graph.h"

static bool is_device(CUdeviceptr address) { return range_find(address) != NULL; }

/* Takes the rows of pageable memory now. */
static void stage(fake_operation *operation) {
    size_t width = operation->copy.width, rows = operation->copy.rows, planes = operation->copy.planes;
    const fake_place *from = &operation->copy.from;
    char *staged = obtain(width * rows * planes);
    for (size_t row = 0; row < rows * planes; row++)
        memcpy(staged + row * width,
               (const char *)(uintptr_t)from->address + row / rows * from->plane + row % rows * from->pitch, width);
    operation->copy.staged = staged;
    operation->copy.from = (fake_place){0, width, width * rows};
}

static CUresult submit_copy(fake_operation *operation, CUstream handle, bool is_synchronous) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if (operation->copy.width == 0 || operation->copy.rows == 0 || operation->copy.planes == 0) return CUDA_SUCCESS;
    bool from_pageable = !is_device(operation->copy.from.address), to_pageable = !is_device(operation->copy.to.address);
    if ((error = capture_check_stream(stream)) != CUDA_SUCCESS) return error;
    if (stream->capture == NULL && from_pageable) stage(operation);
    fake_task *made;
    error = stream_submit(stream, operation, &made);
    if (error == CUDA_SUCCESS && made != NULL && (to_pageable || is_synchronous)) {
        fake_context *in = stream->in;
        task_wait(made);
        error = context_result(in);
    }
    task_drop(made);
    return error;
}

static CUresult copy(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream, bool is_synchronous) {
    fake_operation operation = {
        .kind = OPERATION_COPY,
        .copy = {.to = {to, size, size}, .from = {from, size, size}, .width = size, .rows = 1, .planes = 1}};
    return submit_copy(&operation, stream, is_synchronous);
}

typedef enum fake_side { DEVICE, HOST, ANY } fake_side;

static CUresult check_side(CUdeviceptr address, size_t size, fake_side side) {
    if (size == 0) return CUDA_SUCCESS;
    if (address == 0) return CUDA_ERROR_INVALID_VALUE;
    return range_check(address, size, side == DEVICE);
}

static CUresult checked_copy(CUdeviceptr to, fake_side to_side, CUdeviceptr from, fake_side from_side, size_t size,
                             CUstream stream, bool is_synchronous) {
    CUresult result = check_side(to, size, to_side);
    if (result == CUDA_SUCCESS) result = check_side(from, size, from_side);
    return result == CUDA_SUCCESS ? copy(to, from, size, stream, is_synchronous) : result;
}

static CUdeviceptr address_of(const void *host) { return (CUdeviceptr)(uintptr_t)host; }

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size) {
    ENTER(cuMemcpy);
    LEAVE(checked_copy(to, ANY, from, ANY, size, NULL, true));
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
    ENTER(cuMemcpyHtoD_v2);
    LEAVE(checked_copy(to, DEVICE, address_of(from), HOST, size, NULL, true));
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
    ENTER(cuMemcpyDtoH_v2);
    LEAVE(checked_copy(address_of(to), HOST, from, DEVICE, size, NULL, true));
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size) {
    ENTER(cuMemcpyDtoD_v2);
    LEAVE(checked_copy(to, DEVICE, from, DEVICE, size, NULL, true));
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    ENTER(cuMemcpyAsync);
    LEAVE(checked_copy(to, ANY, from, ANY, size, stream, false));
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    ENTER(cuMemcpyHtoDAsync_v2);
    LEAVE(checked_copy(to, DEVICE, address_of(from), HOST, size, stream, false));
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    ENTER(cuMemcpyDtoHAsync_v2);
    LEAVE(checked_copy(address_of(to), HOST, from, DEVICE, size, stream, false));
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    ENTER(cuMemcpyDtoDAsync_v2);
    LEAVE(checked_copy(to, DEVICE, from, DEVICE, size, stream, false));
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size,
                           CUstream stream) {
    ENTER(cuMemcpyPeerAsync);
    if (context_of(to_context) == NULL || context_of(from_context) == NULL) LEAVE(CUDA_ERROR_INVALID_CONTEXT);
    LEAVE(checked_copy(to, DEVICE, from, DEVICE, size, stream, false));
}

static CUdeviceptr side_of(CUmemorytype type, const void *host, CUdeviceptr device, fake_side *side) {
    *side = type == CU_MEMORYTYPE_HOST ? HOST : type == CU_MEMORYTYPE_DEVICE ? DEVICE : ANY;
    return type == CU_MEMORYTYPE_HOST ? address_of(host) : device;
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *wanted, CUstream stream) {
    ENTER(cuMemcpy2DAsync_v2);
    if (wanted == NULL || wanted->srcMemoryType == CU_MEMORYTYPE_ARRAY || wanted->dstMemoryType == CU_MEMORYTYPE_ARRAY)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (wanted->WidthInBytes == 0 || wanted->Height == 0) LEAVE(CUDA_SUCCESS);
    fake_side to_side, from_side;
    fake_place to = {side_of(wanted->dstMemoryType, wanted->dstHost, wanted->dstDevice, &to_side), wanted->dstPitch, 0};
    fake_place from = {side_of(wanted->srcMemoryType, wanted->srcHost, wanted->srcDevice, &from_side), wanted->srcPitch,
                       0};
    if (to.pitch == 0) to.pitch = wanted->WidthInBytes;
    if (from.pitch == 0) from.pitch = wanted->WidthInBytes;
    if (to.pitch < wanted->WidthInBytes + wanted->dstXInBytes ||
        from.pitch < wanted->WidthInBytes + wanted->srcXInBytes || to.pitch > MAXIMUM_PITCH ||
        from.pitch > MAXIMUM_PITCH)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    to.address += wanted->dstY * to.pitch + wanted->dstXInBytes;
    from.address += wanted->srcY * from.pitch + wanted->srcXInBytes;
    CUresult result = check_side(to.address, (wanted->Height - 1) * to.pitch + wanted->WidthInBytes, to_side);
    if (result == CUDA_SUCCESS)
        result = check_side(from.address, (wanted->Height - 1) * from.pitch + wanted->WidthInBytes, from_side);
    if (result != CUDA_SUCCESS) LEAVE(result);
    fake_operation operation = {
        .kind = OPERATION_COPY,
        .copy = {.to = to, .from = from, .width = wanted->WidthInBytes, .rows = wanted->Height, .planes = 1}};
    LEAVE(submit_copy(&operation, stream, false));
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *wanted, CUstream stream) {
    ENTER(cuMemcpy3DAsync_v2);
    fake_operation operation;
    if (wanted == NULL || wanted->reserved0 != NULL || wanted->reserved1 != NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUresult result = copy_read(wanted, &operation);
    LEAVE(result == CUDA_SUCCESS ? submit_copy(&operation, stream, false) : result);
}

/* The contexts stand where the other structure has what is reserved. */
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *wanted, CUstream stream) {
    ENTER(cuMemcpy3DPeerAsync);
    fake_operation operation;
    CUDA_MEMCPY3D copy;
    _Static_assert(sizeof copy == sizeof *wanted, "both structures have the same members");
    if (wanted == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (context_of(wanted->srcContext) == NULL || context_of(wanted->dstContext) == NULL)
        LEAVE(CUDA_ERROR_INVALID_CONTEXT);
    memcpy(&copy, wanted, sizeof copy);
    CUresult result = copy_read(&copy, &operation);
    LEAVE(result == CUDA_SUCCESS ? submit_copy(&operation, stream, false) : result);
}

static CUresult fill(CUdeviceptr to, size_t pitch, unsigned value, unsigned element, size_t width, size_t rows,
                     CUstream handle, bool is_synchronous) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if (width == 0 || rows == 0) return CUDA_SUCCESS;
    if (to % element != 0 || (rows > 1 && (pitch % element != 0 || pitch < width * element)))
        return CUDA_ERROR_INVALID_VALUE;
    if ((error = range_check(to, (rows - 1) * pitch + width * element, true)) != CUDA_SUCCESS) return error;
    fake_operation operation = {
        .kind = OPERATION_FILL,
        .fill = {.to = {to, pitch, 0}, .value = value, .element = element, .width = width, .rows = rows}};
    fake_task *made;
    error = stream_submit(stream, &operation, &made);
    if (error == CUDA_SUCCESS && is_synchronous) task_wait(made);
    task_drop(made);
    return error;
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
    ENTER(cuMemsetD8_v2);
    LEAVE(fill(to, 0, value, 1, count, 1, NULL, true));
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned int value, size_t count) {
    ENTER(cuMemsetD32_v2);
    LEAVE(fill(to, 0, value, 4, count, 1, NULL, true));
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    ENTER(cuMemsetD8Async);
    LEAVE(fill(to, 0, value, 1, count, 1, stream, false));
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
    ENTER(cuMemsetD16Async);
    LEAVE(fill(to, 0, value, 2, count, 1, stream, false));
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
    ENTER(cuMemsetD32Async);
    LEAVE(fill(to, 0, value, 4, count, 1, stream, false));
}
CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                           CUstream stream) {
    ENTER(cuMemsetD2D8Async);
    LEAVE(fill(to, pitch, value, 1, width, height, stream, false));
}
CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height,
                            CUstream stream) {
    ENTER(cuMemsetD2D16Async);
    LEAVE(fill(to, pitch, value, 2, width, height, stream, false));
}
CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height,
                            CUstream stream) {
    ENTER(cuMemsetD2D32Async);
    LEAVE(fill(to, pitch, value, 4, width, height, stream, false));
}
