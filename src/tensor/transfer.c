/* Copies from one device to another.
 *
 * Where the host reaches both memories, a host function in the order of the destination's stream moves the elements. It comes after what
 * the source's default stream has to do now, by an event, and keeps the source until it is done: nobody waits. Otherwise tarn_copy_box
 * moves one piece of memory, or rows of it, by the driver or by way of host memory. Both ways move elements of one type; casts and other
 * strides are left to a copy within one of the devices. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "hal/graph.h"
#include "hal/operation.h"
#include "tensor/box.h"
#include "tensor/copy.h"

/* By a host function. */

typedef struct movement {
    tarn_operand operands[2]; /* to, from; merged */
    tarn_tensor *source;      /* a reference */
} movement;

/* One row, along the last dimension. */
static void move_row(char *to, const char *from, int64_t count, int64_t to_step, int64_t from_step, size_t size) {
    if (to_step == (int64_t)size && from_step == to_step) {
        memcpy(to, from, (size_t)count * size);
        return;
    }
    for (int64_t i = 0; i < count; i++) memcpy(to + i * to_step, from + i * from_step, size);
}

static void move_all(const tarn_operand *to, const tarn_operand *from) {
    int64_t place[TARN_MAXIMUM_RANK] = {0}, size = (int64_t)tarn_element_size(to->type);
    uint32_t outer = to->rank > 0 ? to->rank - 1 : 0;
    int64_t count = to->rank > 0 ? to->dims[outer] : 1;
    char *to_row = to->data;
    const char *from_row = from->data;
    for (;;) {
        move_row(to_row, from_row, count, to->strides[outer] * size, from->strides[outer] * size, (size_t)size);
        uint32_t d = outer;
        for (; d-- > 0;) {
            to_row += to->strides[d] * size;
            from_row += from->strides[d] * size;
            if (++place[d] < to->dims[d]) break;
            to_row -= to->strides[d] * to->dims[d] * size;
            from_row -= from->strides[d] * from->dims[d] * size;
            place[d] = 0;
        }
        if (d == UINT32_MAX) return;
    }
}

static void run_movement(void *context) {
    movement *self = context;
    move_all(&self->operands[0], &self->operands[1]);
    (void)tarn_tensor_release(self->source);
    base_free(self);
}

/* Has later work of one stream wait for what another one has been given. */
static tarn_status follow(tarn_stream *later, tarn_stream *earlier) {
    static const tarn_event_options untimed = {.struct_size = sizeof untimed, .is_untimed = 1};
    tarn_event *event = NULL;
    tarn_status status = tarn_event_create_with(tarn_stream_device(earlier), &untimed, &event);
    if (status != TARN_OK) return status;
    status = tarn_stream_record(earlier, &event);
    if (status == TARN_OK) status = tarn_stream_wait(later, event);
    tarn_status released = tarn_event_release(event);
    return status == TARN_OK ? released : status;
}

/* The stream that keeps the source's memory. */
static tarn_stream *stream_of(const tarn_tensor *source) { return tarn_device_default_stream(source->storage->device); }

static tarn_status enqueue_movement(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    tarn_status status = tensor_use(destination, stream);
    if (status == TARN_OK) status = follow(stream, stream_of(source));
    if (status != TARN_OK) return status;
    movement *self = base_allocate(1, sizeof *self);
    if (self == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to move elements",
                         tarn_device_name(tarn_stream_device(stream)));
    }
    tensor_operand(destination, NULL, &self->operands[0]);
    tensor_operand(source, &destination->shape, &self->operands[1]);
    tensor_merge_operands(self->operands, 2, true, NULL);
    self->source = tarn_tensor_retain(source);
    status = tarn_stream_enqueue(stream, run_movement, self);
    if (status == TARN_OK) return TARN_OK;
    tarn_tensor_release(source);
    base_free(self);
    return status;
}

/* As a box, most often of one row. */

static bool can_copy(const tarn_tensor *tensor) {
    return hal_operation_is_supported(tensor->storage->device, TARN_OPERATION_COPY, tensor->type);
}

/* One piece of each, or rows. */
typedef struct box_rows {
    tarn_operand operands[2]; /* to, from; merged */
    tarn_box box;
} box_rows;

/* Whether the elements of both, which have one type, are a box. */
static bool find_box(const tarn_tensor *destination, const tarn_tensor *source, box_rows *out_rows) {
    tarn_operand *operands = out_rows->operands;
    tensor_operand(destination, NULL, &operands[0]);
    tensor_operand(source, &destination->shape, &operands[1]);
    tensor_merge_operands(operands, 2, true, NULL);
    return tensor_box_of(operands, can_copy(destination) && can_copy(source), &out_rows->box);
}

/* Has what frees the source later come after the copy on `stream`. Where the streams cannot be put in order, the copy is waited for: it has
 * been enqueued, and must be over before the source's memory is used again. */
static tarn_status keep_source(tarn_stream *reading, tarn_stream *stream) {
    return follow(reading, stream) == TARN_OK ? TARN_OK : tarn_stream_synchronize(stream);
}

static tarn_status move_box(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream, const box_rows *rows) {
    tarn_stream *reading = stream_of(source);
    tarn_status status = tensor_use(destination, stream);
    if (status == TARN_OK) status = tensor_use(source, reading);
    if (status == TARN_OK) status = follow(stream, reading);
    if (status == TARN_OK) {
        status = tarn_copy_box(stream, destination->storage->device, rows->operands[0].data, source->storage->device,
                               rows->operands[1].data, &rows->box);
    }
    return status == TARN_OK ? keep_source(reading, stream) : status;
}

static tarn_status move_whole(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    tarn_tensor *whole;
    tarn_status status = tarn_tensor_contiguous(source, NULL, &whole);
    if (status != TARN_OK) return status;
    box_rows rows = {.box = {.width = 0}};
    /* Both are contiguous now: one row. */
    (void)find_box(destination, whole, &rows);
    status = move_box(destination, whole, stream, &rows);
    tarn_status released = tarn_tensor_release(whole);
    return status == TARN_OK ? released : status;
}

/* Choosing. */

static bool is_reachable(const tarn_tensor *tensor) {
    return hal_device_has_feature(tensor->storage->device, TARN_FEATURE_HOST_ACCESS);
}

static bool can_cast(const tarn_tensor *destination, const tarn_tensor *source) {
    tarn_device *device = destination->storage->device;
    return hal_operation_is_supported(device, TARN_OPERATION_COPY, destination->type) &&
           hal_operation_is_supported(device, TARN_OPERATION_COPY, source->type);
}

/* A tensor like the source, of the destination's device, and from there within it. */
static tarn_status move_twice(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    tarn_allocator *allocator;
    tarn_tensor *between;
    tarn_status status = tensor_allocator_of(destination, &allocator);
    if (status != TARN_OK) return status;
    status = tensor_create(allocator, &source->shape, source->type, stream, &between);
    tarn_status released = tarn_allocator_release(allocator);
    if (status != TARN_OK) return status;
    status = tensor_copy_between(between, source, stream);
    if (status == TARN_OK) status = tensor_copy_within(destination, between, stream);
    if (status == TARN_OK) status = released;
    released = tarn_tensor_release(between);
    return status == TARN_OK ? released : status;
}

static tarn_status cast_first(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    tarn_tensor *cast;
    tarn_status status = tarn_tensor_cast(source, destination->type, NULL, &cast);
    if (status != TARN_OK) return status;
    status = tensor_copy_between(destination, cast, stream);
    tarn_status released = tarn_tensor_release(cast);
    return status == TARN_OK ? released : status;
}

tarn_status tensor_copy_between(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    if (hal_stream_is_capturing(stream)) {
        return base_fail(TARN_INVALID_STATE, "tensor_copy: from %s to %s, which a capture on stream %u cannot hold",
                         tarn_device_name(source->storage->device), tarn_device_name(tarn_stream_device(stream)),
                         hal_stream_number(stream));
    }
    if (destination->elements == 0) return TARN_OK;
    if (destination->type != source->type) {
        return (can_cast(destination, source) ? move_twice : cast_first)(destination, source, stream);
    }
    if (is_reachable(destination) && is_reachable(source)) return enqueue_movement(destination, source, stream);
    box_rows rows = {.box = {.width = 0}};
    if (find_box(destination, source, &rows)) return move_box(destination, source, stream, &rows);
    bool is_alike = destination->is_contiguous && tarn_shape_equals(&destination->shape, &source->shape);
    return (is_alike ? move_whole : move_twice)(destination, source, stream);
}

tarn_status tarn_tensor_to(tarn_tensor *tensor, tarn_allocator *allocator, tarn_stream *stream,
                           tarn_tensor **out_tensor) {
    tarn_status status = tensor_check(tensor, "tensor_to", "the tensor");
    if (status != TARN_OK) return status;
    if (allocator == NULL || out_tensor == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_to: the allocator or the place for the tensor is NULL");
    }
    tarn_device *device = tarn_allocator_device(allocator);
    status = tensor_stream(device, stream, &stream);
    if (status != TARN_OK) return status;
    if (device == tensor->storage->device) {
        *out_tensor = tarn_tensor_retain(tensor);
        return TARN_OK;
    }
    tarn_tensor *copy;
    status = tensor_create(allocator, &tensor->shape, tensor->type, stream, &copy);
    if (status != TARN_OK) return status;
    status = tensor_copy_between(copy, tensor, stream);
    if (status == TARN_OK) *out_tensor = copy;
    else tarn_tensor_release(copy);
    return status;
}
