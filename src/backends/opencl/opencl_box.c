/* Rectangular copies. Between two buffers, or a buffer and the host, the driver has a command for them. Within one buffer that asks for
 * equal pitches, and shared virtual memory has none: there a kernel copies, the one for elements of any strides, in elements as large as
 * addresses and pitches allow. What is left is refused, and then goes row by row. */
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_program.h"

/* By a kernel. */

typedef struct element {
    size_t size;
    tarn_element_type type;
} element;

/* The largest that all rows are made of, and begin at multiples of. */
static element largest_element(const void *destination, const void *source, const tarn_box *box) {
    static const element elements[] = {
        {8, TARN_ELEMENT_I64}, {4, TARN_ELEMENT_I32}, {2, TARN_ELEMENT_I16}, {1, TARN_ELEMENT_U8}};
    uintptr_t bits = (uintptr_t)destination | (uintptr_t)source | box->width | box->destination_row_pitch |
                     box->source_row_pitch | box->destination_slice_pitch | box->source_slice_pitch;
    size_t i = 0;
    while (bits % elements[i].size != 0) i++;
    return elements[i];
}

static tarn_operand operand_of(const void *address, element unit, const tarn_box *box, size_t row_pitch,
                               size_t slice_pitch) {
    tarn_operand operand = {.data = (void *)(uintptr_t)address, .type = unit.type, .rank = box->depth > 1 ? 3 : 2};
    uint32_t rows = operand.rank - 2;
    operand.dims[0] = (int64_t)box->depth;
    operand.strides[0] = (int64_t)(slice_pitch / unit.size);
    operand.dims[rows] = (int64_t)box->height;
    operand.strides[rows] = (int64_t)(row_pitch / unit.size);
    operand.dims[rows + 1] = (int64_t)(box->width / unit.size);
    operand.strides[rows + 1] = 1;
    return operand;
}

static tarn_status copy_by_kernel(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                  const void *source, const tarn_box *box) {
    element unit = largest_element(destination, source, box);
    const tarn_operand operands[] = {
        operand_of(destination, unit, box, box->destination_row_pitch, box->destination_slice_pitch),
        operand_of(source, unit, box, box->source_row_pitch, box->source_slice_pitch)};
    const tarn_step step = {
        .operation = TARN_OPERATION_COPY, .type = unit.type, .values = {{.source = TARN_SOURCE_INPUT}}};
    const uint16_t result = 0;
    const tarn_program program = {
        .step_count = 1, .steps = &step, .results = &result, .reduction = TARN_OPERATION_COPY};
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .output_count = 1,
                                              .input_count = 1,
                                              .operands = operands,
                                              .program = &program};
    return opencl_program_run(device, stream, &operation);
}

/* By the host. */

typedef struct host_box {
    void *destination;
    const void *source;
    tarn_box box;
} host_box;

static void move_rows(void *context) {
    const host_box *self = context;
    const tarn_box *box = &self->box;
    for (size_t z = 0; z < box->depth; z++) {
        char *to = (char *)self->destination + z * box->destination_slice_pitch;
        const char *from = (const char *)self->source + z * box->source_slice_pitch;
        for (size_t y = 0; y < box->height; y++)
            memcpy(to + y * box->destination_row_pitch, from + y * box->source_row_pitch, box->width);
    }
    free(context);
}

static tarn_status copy_by_host(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                const void *source, const tarn_box *box) {
    host_box *copy = malloc(sizeof *copy);
    if (copy == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory to enqueue a copy");
    *copy = (host_box){.destination = destination, .source = source, .box = *box};
    tarn_status status = opencl_stream_host_function(device, stream, move_rows, copy);
    if (status != TARN_OK) free(copy);
    return status;
}

/* By the driver, which takes slices of whole row pitches. */

static bool is_regular(size_t row_pitch, size_t slice_pitch, size_t height) {
    return slice_pitch % row_pitch == 0 && slice_pitch / row_pitch >= height;
}

static tarn_status copy_by_driver(tarn_backend_stream *stream, const opencl_end *to, const opencl_end *from,
                                  const tarn_box *box) {
    const size_t region[3] = {box->width, box->height, box->depth}, none[3] = {0};
    const size_t to_origin[3] = {to->offset}, from_origin[3] = {from->offset};
    size_t to_row = box->destination_row_pitch, to_slice = box->destination_slice_pitch;
    size_t from_row = box->source_row_pitch, from_slice = box->source_slice_pitch;
    cl_event event = NULL;
    cl_int error;
    if (to->buffer == NULL) {
        error = opencl.clEnqueueReadBufferRect(stream->queue, from->buffer, CL_FALSE, from_origin, none, region,
                                               from_row, from_slice, to_row, to_slice, to->address, 0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueReadBufferRect", event);
    }
    if (from->buffer == NULL) {
        error = opencl.clEnqueueWriteBufferRect(stream->queue, to->buffer, CL_FALSE, to_origin, none, region, to_row,
                                                to_slice, from_row, from_slice, from->address, 0, NULL, &event);
        return opencl_finish_enqueue(stream, error, "clEnqueueWriteBufferRect", event);
    }
    error = opencl.clEnqueueCopyBufferRect(stream->queue, from->buffer, to->buffer, from_origin, to_origin, region,
                                           from_row, from_slice, to_row, to_slice, 0, NULL, &event);
    return opencl_finish_enqueue(stream, error, "clEnqueueCopyBufferRect", event);
}

tarn_status opencl_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                   const void *source, const tarn_box *box) {
    opencl_end to = opencl_end_of(device, destination), from = opencl_end_of(device, source);
    bool has_buffer = to.buffer != NULL || from.buffer != NULL;
    if (!has_buffer && !to.is_shared && !from.is_shared) return copy_by_host(device, stream, destination, source, box);
    if (has_buffer && !to.is_shared && !from.is_shared && to.buffer != from.buffer &&
        is_regular(box->destination_row_pitch, box->destination_slice_pitch, box->height) &&
        is_regular(box->source_row_pitch, box->source_slice_pitch, box->height)) {
        return copy_by_driver(stream, &to, &from, box);
    }
    return copy_by_kernel(device, stream, destination, source, box);
}
