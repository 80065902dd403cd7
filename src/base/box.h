/* Boxes of bytes: how far each side reaches, and copying one on the host. */
#ifndef BASE_BOX_H
#define BASE_BOX_H

#include <tarn/backend.h>

/* Bytes from the first of a side with these pitches to the end of the last one. The box has bytes. */
size_t base_box_span(const tarn_box *box, size_t row_pitch, size_t slice_pitch);
/* Copies it before it returns. Pitches are all there. */
void base_box_copy(void *destination, const void *source, const tarn_box *box);

#endif
