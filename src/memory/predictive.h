/* predictive: the allocator for shapes that vary. Its design is told in docs/architecture.md. */
#ifndef MEMORY_PREDICTIVE_H
#define MEMORY_PREDICTIVE_H

#include "memory/predictive_types.h"

/* predictive[:strategy=fixed|adaptive|quantile, factor=, growth=, shrink=, quantile=, max=SIZE, kind=…, in_place=on|off] */
extern const memory_strategy predictive_strategy;

extern const predictive_settings predictive_default_settings;
/* Creates an allocator, whose text is still to be set. */
tarn_status predictive_begin(tarn_device *device, const predictive_settings *settings, tarn_allocator **out_allocator);

#endif
