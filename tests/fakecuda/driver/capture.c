/* Streams are not captured yet: nothing is forbidden and nothing recorded. */
#include "state.h"

#include "capture.h"
#include "graph.h"
#include "kernel.h"

CUresult capture_forbids(const char *name) {
    (void)name;
    return CUDA_SUCCESS;
}
CUresult capture_check_stream(fake_stream *stream) {
    (void)stream;
    return CUDA_SUCCESS;
}
CUresult capture_check_wait(fake_stream *stream) {
    (void)stream;
    return CUDA_SUCCESS;
}
CUresult capture_check_event(fake_event *event) {
    (void)event;
    return CUDA_SUCCESS;
}
CUresult capture_operation(fake_stream *stream, fake_operation *operation) {
    (void)stream;
    (void)operation;
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult capture_record(fake_stream *stream, fake_event *event, unsigned flags) {
    (void)stream;
    (void)event;
    (void)flags;
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult capture_wait(fake_stream *stream, fake_event *event, unsigned flags) {
    (void)stream;
    (void)event;
    (void)flags;
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult capture_allocate(fake_stream *stream, CUdeviceptr *pointer, size_t size, fake_pool *pool) {
    (void)stream;
    (void)pointer;
    (void)size;
    (void)pool;
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult capture_free(fake_stream *stream, fake_range *range) {
    (void)stream;
    (void)range;
    return CUDA_ERROR_NOT_SUPPORTED;
}
void capture_leave(fake_stream *stream) { (void)stream; }
CUresult graph_memory_end(fake_range *range) {
    (void)range;
    return CUDA_ERROR_NOT_SUPPORTED;
}
void launch_end(void *launch) { (void)launch; }
CUresult kernel_run(fake_operation *operation) {
    (void)operation;
    return CUDA_ERROR_NOT_SUPPORTED;
}
void kernel_end(fake_operation *operation) { (void)operation; }
bool kernel_uses(const fake_operation *operation, CUdeviceptr start, size_t size) {
    (void)operation;
    (void)start;
    (void)size;
    return false;
}
