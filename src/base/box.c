/* Boxes of bytes on the host: row by row. */
#include "base/box.h"

#include <string.h>

size_t base_box_span(const tarn_box *box, size_t row_pitch, size_t slice_pitch) {
    return (box->depth - 1) * slice_pitch + (box->height - 1) * row_pitch + box->width;
}

void base_box_copy(void *destination, const void *source, const tarn_box *box) {
    for (size_t slice = 0; slice < box->depth; slice++) {
        char *to = (char *)destination + slice * box->destination_slice_pitch;
        const char *from = (const char *)source + slice * box->source_slice_pitch;
        for (size_t row = 0; row < box->height; row++) {
            memcpy(to + row * box->destination_row_pitch, from + row * box->source_row_pitch, box->width);
        }
    }
}
