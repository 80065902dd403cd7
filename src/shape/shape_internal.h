/* What the files of the room share: one check for each kind of input, so that all refuse with the same sentence. */
#ifndef SHAPE_SHAPE_INTERNAL_H
#define SHAPE_SHAPE_INTERNAL_H

#include <tarn/shape.h>

/* Room for any shape as tarn_shape_to_string writes it. */
#define SHAPE_TEXT 192

tarn_status shape_check_rank(size_t rank);
/* NULL, too many dimensions and negative ones are refused. */
tarn_status shape_check(const tarn_shape *shape);

#endif
