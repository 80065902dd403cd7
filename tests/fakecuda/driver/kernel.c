/* Kernels: launched with the parameters of that moment, run on the host when their turn comes. The memory that their parameters
 * point into can be reached at its own addresses meanwhile; other device memory cannot. */
#include "state.h"

#include "kernel.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 1024 };

/* What the parameters say, taken now. */
static unsigned char *take_parameters(const fake_kernel *kernel, void *const *parameters) {
    unsigned char *taken = obtain(kernel->bytes);
    for (size_t i = 0; i < kernel->count; i++) memcpy(taken + kernel->offsets[i], parameters[i], kernel->sizes[i]);
    return taken;
}

static CUresult prepare(void *handle, const unsigned grid[3], const unsigned block[3], unsigned shared,
                        void **parameters, void **extra, fake_operation *out) {
    fake_kernel *kernel = handle_object(HANDLE_FUNCTION, handle);
    if (kernel == NULL) return CUDA_ERROR_INVALID_HANDLE;
    size_t threads = (size_t)block[0] * block[1] * block[2];
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0 || threads == 0 || grid[0] > 0x7fffffff || grid[1] > 65535 ||
        grid[2] > 65535)
        return CUDA_ERROR_INVALID_VALUE;
    if (threads > MOST_THREADS || block[0] > MOST_THREADS || block[1] > MOST_THREADS || block[2] > 64 ||
        (int)shared > kernel->most_shared)
        return CUDA_ERROR_INVALID_VALUE;
    if (extra != NULL || (kernel->count > 0 && parameters == NULL)) return CUDA_ERROR_INVALID_VALUE;
    *out = (fake_operation){.kind = OPERATION_KERNEL, .kernel = {.function = kernel, .shared = shared}};
    memcpy(out->kernel.grid, grid, sizeof out->kernel.grid);
    memcpy(out->kernel.block, block, sizeof out->kernel.block);
    out->kernel.parameters = take_parameters(kernel, parameters);
    return CUDA_SUCCESS;
}

CUresult kernel_of(const CUDA_KERNEL_NODE_PARAMS *parameters, fake_operation *out) {
    if (parameters == NULL) return CUDA_ERROR_INVALID_VALUE;
    const unsigned grid[3] = {parameters->gridDimX, parameters->gridDimY, parameters->gridDimZ};
    const unsigned block[3] = {parameters->blockDimX, parameters->blockDimY, parameters->blockDimZ};
    void *handle = parameters->func != NULL ? (void *)parameters->func : (void *)parameters->kern;
    CUresult result =
        prepare(handle, grid, block, parameters->sharedMemBytes, parameters->kernelParams, parameters->extra, out);
    if (result == CUDA_SUCCESS && parameters->ctx != NULL) out->in = handle_peek(HANDLE_CONTEXT, parameters->ctx);
    return result;
}

static CUresult launch(CUfunction handle, const unsigned grid[3], const unsigned block[3], unsigned shared,
                       CUstream stream_handle, void **parameters, void **extra) {
    CUresult error;
    fake_stream *stream = stream_of(stream_handle, &error);
    if (stream == NULL) return error;
    fake_operation operation;
    if ((error = prepare(handle, grid, block, shared, parameters, extra, &operation)) != CUDA_SUCCESS) return error;
    const fake_context *in = operation.kernel.function->module->in;
    if (in != NULL && in != stream->in) {
        operation_end(&operation);
        return VIOLATION(CUDA_ERROR_INVALID_HANDLE, "a kernel of device %d is launched on device %d", in->on->ordinal,
                         stream->in->on->ordinal);
    }
    return stream_submit(stream, &operation, NULL);
}

CUresult cuLaunchKernel(CUfunction handle, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
                        CUstream stream, void **parameters, void **extra) {
    ENTER(cuLaunchKernel);
    const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
    LEAVE(launch(handle, grid, block, shared, stream, parameters, extra));
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction handle, void **parameters, void **extra) {
    ENTER(cuLaunchKernelEx);
    if (config == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    const unsigned grid[3] = {config->gridDimX, config->gridDimY, config->gridDimZ};
    const unsigned block[3] = {config->blockDimX, config->blockDimY, config->blockDimZ};
    LEAVE(launch(handle, grid, block, config->sharedMemBytes, config->hStream, parameters, extra));
}

/* Calls `visit` for each word of the parameters that may be a pointer, until it says false. */
static bool each_word(const fake_operation *operation, bool (*visit)(CUdeviceptr, void *), void *data) {
    const fake_kernel *kernel = operation->kernel.function;
    for (size_t i = 0; i < kernel->count; i++) {
        for (size_t at = 0; at + sizeof(CUdeviceptr) <= kernel->sizes[i]; at += sizeof(CUdeviceptr)) {
            CUdeviceptr word;
            memcpy(&word, operation->kernel.parameters + kernel->offsets[i] + at, sizeof word);
            if (!visit(word, data)) return false;
        }
    }
    return true;
}

typedef struct fake_reach {
    const fake_context *in;
    fake_range **opened;
    size_t count;
} fake_reach;

static bool has_pages(const fake_range *range) { return range != NULL && range->memory != NULL; }

static bool may_reach(const fake_range *range, const fake_context *in) {
    if (range->kind == RANGE_DEVICE) return context_reaches(in, range->on->ordinal);
    return (range->writers >> in->on->ordinal & 1) != 0 || (range->readers >> in->on->ordinal & 1) != 0;
}

static void open_range(fake_range *range, fake_reach *reach) {
    if (!range_open(range)) return;
    reach->opened = grow(reach->opened, reach->count, sizeof(fake_range *));
    reach->opened[reach->count++] = range;
}

/* Opens the memory at a word, and what is mapped next to it without a hole: a tensor may lie across. */
static bool open_at(CUdeviceptr word, void *data) {
    fake_reach *reach = data;
    fake_range *range = range_find(word);
    if (range == NULL && range_was_freed(word)) {
        violation("a kernel is given 0x%llx, which is freed", word);
        return false;
    }
    if (!has_pages(range)) return true;
    if (!range->is_ready || !may_reach(range, reach->in)) {
        violation(range->is_ready ? "a kernel of device %d has no access to 0x%llx"
                                  : "a kernel of device %d is given 0x%llx before its allocation has run",
                  reach->in->on->ordinal, word);
        return false;
    }
    open_range(range, reach);
    if (range->kind != RANGE_MAPPING) return true;
    for (fake_range *at = range;
         (at = range_find(at->start + at->size)) != NULL && at->kind == RANGE_MAPPING && may_reach(at, reach->in);)
        open_range(at, reach);
    for (fake_range *at = range;
         (at = range_find(at->start - 1)) != NULL && at->kind == RANGE_MAPPING && may_reach(at, reach->in);)
        open_range(at, reach);
    return true;
}

CUresult kernel_run(fake_operation *operation) {
    fake_reach reach = {.in = operation->in};
    const fake_kernel *kernel = operation->kernel.function;
    bool is_fine = each_word(operation, open_at, &reach);
    if (is_fine) {
        void *parameters[MOST_PARAMETERS];
        for (size_t i = 0; i < kernel->count; i++) parameters[i] = operation->kernel.parameters + kernel->offsets[i];
        pthread_mutex_unlock(&the_driver.lock);
        kernel->run(operation->kernel.grid, operation->kernel.block, operation->kernel.shared, parameters);
        pthread_mutex_lock(&the_driver.lock);
    }
    for (size_t i = 0; i < reach.count; i++) range_close(reach.opened[i]);
    free(reach.opened);
    return is_fine ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

void kernel_end(fake_operation *operation) { free(operation->kernel.parameters); }

void kernel_copy_parameters(fake_operation *operation) {
    unsigned char *copied = obtain(operation->kernel.function->bytes);
    if (operation->kernel.function->bytes > 0)
        memcpy(copied, operation->kernel.parameters, operation->kernel.function->bytes);
    operation->kernel.parameters = copied;
}

typedef struct fake_span {
    CUdeviceptr start;
    size_t size;
} fake_span;

static bool is_outside(CUdeviceptr word, void *data) {
    const fake_span *span = data;
    return word < span->start || word - span->start >= span->size;
}

bool kernel_uses(const fake_operation *operation, CUdeviceptr start, size_t size) {
    fake_span span = {start, size};
    return !each_word(operation, is_outside, &span);
}
