/* Copies of boxes, as the driver takes them: rows of one width at one pitch, slices of whole rows.
 *
 * What the driver does not take (a slice that is no whole number of row pitches, a pitch above its limit) is taken apart: into slices, or by
 * whoever asks into rows. Drivers may refuse other pitches between two places of one device; a refusal before anything is enqueued means
 * rows too. */
#include "backends/cuda/cuda_internal.h"

static driver_copy_side side_of(const void *address, size_t row_pitch, size_t rows) {
    return (driver_copy_side){
        .type = DRIVER_MEMORY_TYPE_UNIFIED, .device = (uintptr_t)address, .pitch = row_pitch, .height = rows};
}

driver_copy cuda_copy_of_row(void *destination, const void *source, size_t size) {
    return (driver_copy){.source = side_of(source, size, 1),
                         .destination = side_of(destination, size, 1),
                         .width = size,
                         .height = 1,
                         .depth = 1};
}

/* `count` slices from number `first` on. */
static driver_copy copy_of_slices(void *destination, const void *source, const tarn_box *box, size_t first,
                                  size_t count) {
    return (driver_copy){
        .source = side_of((const char *)source + first * box->source_slice_pitch, box->source_row_pitch,
                          count > 1 ? box->source_slice_pitch / box->source_row_pitch : box->height),
        .destination = side_of((char *)destination + first * box->destination_slice_pitch, box->destination_row_pitch,
                               count > 1 ? box->destination_slice_pitch / box->destination_row_pitch : box->height),
        .width = box->width,
        .height = box->height,
        .depth = count};
}

/* A slice has room for whole rows, and for all of its own. */
static bool is_regular(size_t row_pitch, size_t slice_pitch, size_t height) {
    return slice_pitch % row_pitch == 0 && slice_pitch / row_pitch >= height;
}

tarn_status cuda_box_copy(const tarn_backend_device *device, void *destination, const void *source, const tarn_box *box,
                          cuda_copy_call call, void *context, const char *name) {
    bool is_whole = is_regular(box->source_row_pitch, box->source_slice_pitch, box->height) &&
                    is_regular(box->destination_row_pitch, box->destination_slice_pitch, box->height);
    size_t count = is_whole ? box->depth : 1;
    driver_result result = DRIVER_ERROR_INVALID_VALUE;
    size_t most = (size_t)device->maximum_pitch;
    if (box->source_row_pitch <= most && box->destination_row_pitch <= most) {
        for (size_t first = 0; first < box->depth; first += count) {
            driver_copy copy = copy_of_slices(destination, source, box, first, count);
            result = call(context, &copy);
            if (result == DRIVER_SUCCESS) continue;
            if (first > 0) return cuda_answer(result, name);
            break;
        }
    }
    if (result != DRIVER_ERROR_INVALID_VALUE) return cuda_answer(result, name);
    return cuda_fail(TARN_NOT_SUPPORTED, "%s: the driver copies no rows %zu bytes apart to rows %zu bytes apart", name,
                     box->source_row_pitch, box->destination_row_pitch);
}

static driver_result enqueue_copy(void *context, const driver_copy *copy) {
    const tarn_backend_stream *stream = context;
    return cuda_driver.cuMemcpy3DAsync(copy, stream->handle);
}

tarn_status cuda_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                 const void *source, const tarn_box *box) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = cuda_box_copy(device, destination, source, box, enqueue_copy, stream, "cuMemcpy3DAsync");
    cuda_leave(scope);
    return status;
}
