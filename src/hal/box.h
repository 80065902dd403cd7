/* Boxes of bytes inside the hardware layer: looked over, brought into the form that backends get, and enqueued. */
#ifndef HAL_BOX_H
#define HAL_BOX_H

#include <stdbool.h>

#include "hal/types.h"

/* What is wrong with a box by itself: INVALID_ARGUMENT, where the sentence begins with `whose`. Writes it in the form that backends get,
 * or as one row; one without bytes is all zero. */
tarn_status hal_box_read(const char *whose, const tarn_box *box, tarn_box *out_box);
static inline bool hal_box_is_empty(const tarn_box *box) { return box->width == 0; }
static inline bool hal_box_is_one_row(const tarn_box *box) { return box->height == 1 && box->depth == 1; }
/* Bytes that are copied. */
static inline size_t hal_box_size(const tarn_box *box) { return box->width * box->height * box->depth; }
/* Whether one side of a box that has been read is memory: no wrap, and not beyond the end of an allocation of the device. `what` begins
 * its name. */
tarn_status hal_box_check_destination(tarn_device *device, const void *destination, const tarn_box *box);
tarn_status hal_box_check_source(tarn_device *device, const void *source, const tarn_box *box);
/* Both, on one device, where they have no byte in common. */
tarn_status hal_box_check(tarn_device *device, const void *destination, const void *source, const tarn_box *box);
/* Enqueues a box that has been read and checked: by one command, or row by row. */
tarn_status hal_box_enqueue(tarn_stream *stream, void *destination, const void *source, const tarn_box *box);
/* One row. */
static inline tarn_box hal_box_of(size_t size) {
    return (tarn_box){.struct_size = sizeof(tarn_box),
                      .width = size,
                      .height = 1,
                      .depth = 1,
                      .destination_row_pitch = size,
                      .destination_slice_pitch = size,
                      .source_row_pitch = size,
                      .source_slice_pitch = size};
}
/* The same box where one side is memory in which its rows lie side by side. */
tarn_box hal_box_with_packed_destination(const tarn_box *box);
tarn_box hal_box_with_packed_source(const tarn_box *box);
/* Calls `part(context, part, …)` for boxes of at most `most` bytes that together are the box, in order, until one fails; with how far each
 * begins from the beginning of either side. */
typedef tarn_status (*hal_box_part)(void *context, const tarn_box *part, size_t destination_offset,
                                    size_t source_offset);
tarn_status hal_box_each_part(const tarn_box *box, size_t most, hal_box_part part, void *context);
/* Calls `row(context, destination, source)` for each row, in order, until one fails. */
typedef tarn_status (*hal_box_row)(void *context, void *destination, const void *source, size_t size);
tarn_status hal_box_each_row(void *destination, const void *source, const tarn_box *box, hal_box_row row,
                             void *context);

#endif
