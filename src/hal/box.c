/* Boxes of bytes: what a user may ask for, and what a backend gets.
 *
 * Rows that lie side by side on both sides become one row, and slices that do become rows, so that what is one piece is copied as
 * one, whatever the user called it. Whether the two sides have bytes in common is found exactly: by their ends or their pitches where that
 * decides it, else by walking the rows of both in the order of their addresses. */
#include "hal/box.h"

#include "base/box.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/call.h"
#include "hal/graph.h"
#include "hal/regions.h"

/* Puts the pitches in that were left out, and sees that rows do not overlap and that nothing wraps. */
static tarn_status complete(const char *whose, const char *side, const tarn_box *box, size_t *inout_row_pitch,
                            size_t *inout_slice_pitch) {
    size_t rows, slice, slices, end;
    if (*inout_row_pitch == 0 || box->height == 1) *inout_row_pitch = box->width;
    if (*inout_row_pitch < box->width) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a row pitch of %zu bytes is too small for rows of %zu in the %s",
                         whose, *inout_row_pitch, box->width, side);
    }
    bool fits = checked_multiply(box->height, *inout_row_pitch, &rows);
    if (fits) {
        slice = rows - *inout_row_pitch + box->width;
        if (*inout_slice_pitch == 0 || box->depth == 1) *inout_slice_pitch = rows;
        if (*inout_slice_pitch < slice) {
            return base_fail(TARN_INVALID_ARGUMENT,
                             "%s: a slice pitch of %zu bytes is too small for slices of %zu in the %s", whose,
                             *inout_slice_pitch, slice, side);
        }
        fits = checked_multiply(box->depth, *inout_slice_pitch, &slices) && checked_add(slices, slice, &end);
    }
    if (fits) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT,
                     "%s: %zu slices of %zu rows, %zu and %zu bytes apart in the %s, are more than there are addresses",
                     whose, box->depth, box->height, *inout_slice_pitch, *inout_row_pitch, side);
}

/* Slices become rows. */
static void make_slices_rows(tarn_box *box) {
    box->height = box->depth;
    box->destination_row_pitch = box->destination_slice_pitch;
    box->source_row_pitch = box->source_slice_pitch;
    box->depth = 1;
}

/* Whether the next row begins where one ends, on both sides. */
static bool have_rows_no_gaps(const tarn_box *box) {
    return box->destination_row_pitch == box->width && box->source_row_pitch == box->width;
}

static void merge(tarn_box *box) {
    for (int i = 0; i < 2; i++) {
        if (box->height > 1 && !have_rows_no_gaps(box)) break;
        box->width *= box->height;
        make_slices_rows(box);
    }
    if (box->depth > 1 && box->destination_slice_pitch == box->height * box->destination_row_pitch &&
        box->source_slice_pitch == box->height * box->source_row_pitch) {
        box->height *= box->depth;
        box->depth = 1;
    }
    if (box->depth > 1) return;
    if (box->height == 1) box->destination_row_pitch = box->source_row_pitch = box->width;
    box->destination_slice_pitch = box->height * box->destination_row_pitch;
    box->source_slice_pitch = box->height * box->source_row_pitch;
}

tarn_status hal_box_read(const char *whose, const tarn_box *box, tarn_box *out_box) {
    tarn_box read;
    if (box == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the box to copy is NULL", whose);
    tarn_status status = base_read_structure(whose, box, &read, sizeof read);
    if (status != TARN_OK) return status;
    read.struct_size = sizeof read;
    if (read.width == 0 || read.height == 0 || read.depth == 0) {
        *out_box = (tarn_box){.struct_size = sizeof read};
        return TARN_OK;
    }
    status = complete(whose, "destination", &read, &read.destination_row_pitch, &read.destination_slice_pitch);
    if (status == TARN_OK) status = complete(whose, "source", &read, &read.source_row_pitch, &read.source_slice_pitch);
    if (status != TARN_OK) return status;
    merge(&read);
    *out_box = read;
    return TARN_OK;
}

static tarn_status check_side(tarn_device *device, const void *address, size_t size, const char *what) {
    tarn_status status = hal_check_range(device, address, size, what);
    if (status != TARN_OK || !hal_region_is_left(device, address, size)) return status;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s of %zu bytes at %p goes beyond the end of its allocation",
                     device->name, what, size, address);
}

static size_t destination_span(const tarn_box *box) {
    return base_box_span(box, box->destination_row_pitch, box->destination_slice_pitch);
}

static size_t source_span(const tarn_box *box) {
    return base_box_span(box, box->source_row_pitch, box->source_slice_pitch);
}

tarn_status hal_box_check_destination(tarn_device *device, const void *destination, const tarn_box *box) {
    return check_side(device, destination, destination_span(box), "a destination");
}

tarn_status hal_box_check_source(tarn_device *device, const void *source, const tarn_box *box) {
    return check_side(device, source, source_span(box), "a source");
}

/* A walk through the rows of one side. */
typedef struct row_walk {
    uintptr_t slice, row; /* where the present ones begin */
    size_t row_pitch, slice_pitch;
    size_t rows_left, slices_left; /* behind the present ones */
} row_walk;

/* To the next row; false behind the last. */
static bool step(row_walk *walk, size_t height) {
    if (walk->rows_left > 0) {
        walk->rows_left--;
        walk->row += walk->row_pitch;
        return true;
    }
    if (walk->slices_left == 0) return false;
    walk->slices_left--;
    walk->slice += walk->slice_pitch;
    walk->row = walk->slice;
    walk->rows_left = height - 1;
    return true;
}

static bool have_rows_common_bytes(uintptr_t to, uintptr_t from, const tarn_box *box) {
    row_walk first = {
        to, to, box->destination_row_pitch, box->destination_slice_pitch, box->height - 1, box->depth - 1};
    row_walk second = {from, from, box->source_row_pitch, box->source_slice_pitch, box->height - 1, box->depth - 1};
    for (;;) {
        bool is_before = first.row + box->width <= second.row;
        if (!is_before && second.row + box->width > first.row) return true;
        if (!step(is_before ? &first : &second, box->height)) return false;
    }
}

/* Whether all rows begin at multiples of one pitch from the first of their side, and the two sides' places between those multiples
 * are apart. */
static bool are_columns_apart(uintptr_t to, uintptr_t from, const tarn_box *box) {
    size_t pitch = box->destination_row_pitch;
    if (pitch != box->source_row_pitch || box->destination_slice_pitch % pitch != 0 ||
        box->source_slice_pitch % pitch != 0) {
        return false;
    }
    size_t distance = (to > from ? to - from : from - to) % pitch;
    return distance >= box->width && pitch - distance >= box->width;
}

tarn_status hal_box_check(tarn_device *device, const void *destination, const void *source, const tarn_box *box) {
    if (hal_box_is_empty(box)) return TARN_OK;
    tarn_status status = hal_box_check_destination(device, destination, box);
    if (status == TARN_OK) status = hal_box_check_source(device, source, box);
    if (status != TARN_OK) return status;
    uintptr_t to = (uintptr_t)destination, from = (uintptr_t)source;
    if (to >= from + source_span(box) || from >= to + destination_span(box)) return TARN_OK;
    if (are_columns_apart(to, from, box) || !have_rows_common_bytes(to, from, box)) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: boxes of %zu rows of %zu bytes at %p and at %p have bytes in common",
                     device->name, box->height * box->depth, box->width, source, destination);
}

tarn_status hal_box_each_row(void *destination, const void *source, const tarn_box *box, hal_box_row row,
                             void *context) {
    for (size_t slice = 0; slice < box->depth; slice++) {
        char *to = (char *)destination + slice * box->destination_slice_pitch;
        const char *from = (const char *)source + slice * box->source_slice_pitch;
        for (size_t i = 0; i < box->height; i++) {
            tarn_status status =
                row(context, to + i * box->destination_row_pitch, from + i * box->source_row_pitch, box->width);
            if (status != TARN_OK) return status;
        }
    }
    return TARN_OK;
}

tarn_box hal_box_with_packed_destination(const tarn_box *box) {
    tarn_box packed = *box;
    packed.destination_row_pitch = box->width;
    packed.destination_slice_pitch = box->width * box->height;
    return packed;
}

tarn_box hal_box_with_packed_source(const tarn_box *box) {
    tarn_box packed = *box;
    packed.source_row_pitch = box->width;
    packed.source_slice_pitch = box->width * box->height;
    return packed;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

tarn_status hal_box_each_part(const tarn_box *box, size_t most, hal_box_part part, void *context) {
    /* Whole slices where one fits, else whole rows of one where one fits, else pieces of one. */
    size_t width = smaller(box->width, most);
    size_t height = smaller(box->height, most / width);
    size_t depth = height == box->height ? smaller(box->depth, most / (width * height)) : 1;
    tarn_status status = TARN_OK;
    tarn_box one = *box;
    for (size_t z = 0; z < box->depth; z += one.depth) {
        one.depth = smaller(depth, box->depth - z);
        for (size_t y = 0; y < box->height; y += one.height) {
            one.height = smaller(height, box->height - y);
            for (size_t x = 0; x < box->width && status == TARN_OK; x += one.width) {
                one.width = smaller(width, box->width - x);
                status = part(context, &one, z * box->destination_slice_pitch + y * box->destination_row_pitch + x,
                              z * box->source_slice_pitch + y * box->source_row_pitch + x);
            }
        }
    }
    return status;
}

static tarn_status enqueue_row(void *context, void *destination, const void *source, size_t size) {
    const tarn_stream *stream = context;
    return HAL_CALL(stream->device, stream_copy, stream->handle, destination, source, size);
}

tarn_status hal_box_enqueue(tarn_stream *stream, void *destination, const void *source, const tarn_box *box) {
    tarn_device *device = stream->device;
    if (hal_box_is_empty(box)) return TARN_OK;
    hal_stream_note_work(stream);
    if (device->table->stream_copy_box != NULL && !hal_box_is_one_row(box)) {
        tarn_status status = HAL_CALL(device, stream_copy_box, stream->handle, destination, source, box);
        if (status != TARN_NOT_SUPPORTED) return status;
    }
    return hal_box_each_row(destination, source, box, enqueue_row, stream);
}

tarn_status tarn_stream_copy_box(tarn_stream *stream, void *destination, const void *source, const tarn_box *box) {
    tarn_box read;
    tarn_status status = hal_stream_check(stream);
    if (status == TARN_OK) status = hal_box_read("stream_copy_box", box, &read);
    if (status != TARN_OK) return status;
    status = hal_box_check(stream->device, destination, source, &read);
    if (status != TARN_OK || hal_box_is_empty(&read)) return status;
    tarn_graph_node_info node = {.kind = TARN_GRAPH_NODE_COPY_BOX,
                                 .destination = destination,
                                 .source = source,
                                 .size = hal_box_size(&read),
                                 .box = read};
    if (hal_capture_work(stream, &node, &status)) return status;
    return hal_box_enqueue(stream, destination, source, &read);
}
