/* The built-in padding strategies, and asking whichever one an allocator has. */
#ifndef MEMORY_PREDICTIVE_PADDING_H
#define MEMORY_PREDICTIVE_PADDING_H

#include <stdbool.h>

#include <tarn/predictive.h>

/* The numbers of the built-in strategies; none is 0. */
typedef struct predictive_numbers {
    double factor, growth, shrink, quantile;
} predictive_numbers;

/* What a built-in strategy of that kind is, with `numbers` for its context. */
tarn_padding_strategy predictive_padding(tarn_padding_kind kind, predictive_numbers *numbers);
const char *predictive_padding_name(tarn_padding_kind kind);
/* False when there is no such strategy. */
bool predictive_padding_find(const char *name, tarn_padding_kind *out_kind);

#endif
