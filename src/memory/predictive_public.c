/* The public face of predictive allocators: creating one with options, allocating for bounds, and what it has done as figures and
 * as text. */
#include <tarn/predictive.h>

#include <inttypes.h>
#include <string.h>

#include <tarn/size.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "base/text.h"
#include "hal/memory.h"
#include "memory/predictive.h"
#include "memory/stack.h"

/* Creating. */

/* Takes a number that is in its range; 0 leaves the default. */
static tarn_status take_number(double value, double lowest, double highest, const char *name, double *inout_number) {
    if (value == 0) return TARN_OK;
    if (!(value >= lowest && value <= highest)) {
        return base_fail(TARN_INVALID_ARGUMENT, "predictive: %s is %g, not a number from %g to %g", name, value, lowest,
                         highest);
    }
    *inout_number = value;
    return TARN_OK;
}

static tarn_status take_strategy(const tarn_padding_strategy *given, tarn_padding_strategy *out_strategy) {
    tarn_status status = base_read_structure("predictive", given, out_strategy, sizeof *out_strategy);
    if (status != TARN_OK) return status;
    if (out_strategy->required_size == NULL || out_strategy->name == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "a padding strategy has no required_size, or no name");
    }
    return TARN_OK;
}

static tarn_status take_options(const tarn_predictive_options *options, predictive_settings *settings) {
    tarn_predictive_options read;
    tarn_status status = base_read_structure("predictive", options, &read, sizeof read);
    if (status != TARN_OK) return status;
    *settings = predictive_default_settings;
    if ((unsigned)read.padding > TARN_PADDING_QUANTILE || (unsigned)read.kind >= TARN_MEMORY_KIND_COUNT) {
        return base_fail(TARN_INVALID_ARGUMENT, "predictive: there is no padding %d or no kind of memory %d",
                         (int)read.padding, (int)read.kind);
    }
    status = take_number(read.factor, 1, 1000, "factor", &settings->numbers.factor);
    if (status == TARN_OK) status = take_number(read.growth, 1, 1000, "growth", &settings->numbers.growth);
    if (status == TARN_OK) status = take_number(read.shrink, 0, 1, "shrink", &settings->numbers.shrink);
    if (status == TARN_OK) status = take_number(read.quantile, 0, 1, "quantile", &settings->numbers.quantile);
    settings->padding = read.padding;
    settings->strategy = read.strategy;
    settings->kind = read.kind;
    settings->grows_in_place = !read.always_moves;
    if (read.max_capacity != 0) settings->most = read.max_capacity;
    return status;
}

/* The text that names such an allocator; with a strategy of the caller's own it names that, and creates nothing. */
static size_t write_spec(const predictive_settings *settings, char *out_text, size_t capacity) {
    const predictive_numbers *numbers = &settings->numbers;
    base_text text;
    base_text_begin(&text, out_text, capacity);
    base_text_put(&text, "predictive:strategy=%s",
                  settings->strategy != NULL ? settings->strategy->name : predictive_padding_name(settings->padding));
    base_text_put(&text, ",factor=%g,growth=%g,shrink=%g,quantile=%g", numbers->factor, numbers->growth,
                  numbers->shrink, numbers->quantile);
    if (settings->most != SIZE_MAX) base_text_put(&text, ",max=%zu", settings->most);
    base_text_put(&text, ",kind=%s,in_place=%s", hal_memory_kind_name(settings->kind),
                  settings->grows_in_place ? "on" : "off");
    return text.length;
}

tarn_status tarn_predictive_create(tarn_device *device, const tarn_predictive_options *options,
                                   tarn_allocator **out_allocator) {
    predictive_settings settings;
    tarn_padding_strategy strategy;
    if (device == NULL || out_allocator == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for the allocator is NULL");
    }
    tarn_status status = take_options(options, &settings);
    if (status == TARN_OK && settings.strategy != NULL) {
        status = take_strategy(settings.strategy, &strategy);
        settings.strategy = &strategy;
    }
    if (status != TARN_OK) return status;
    size_t length = write_spec(&settings, NULL, 0);
    char *spec = base_allocate(length + 1, 1);
    if (spec == NULL) return base_fail(TARN_OUT_OF_MEMORY, "predictive: no host memory for the name of an allocator");
    write_spec(&settings, spec, length + 1);
    tarn_allocator *allocator;
    status = predictive_begin(device, &settings, &allocator);
    if (status != TARN_OK) {
        base_free(spec);
        return status;
    }
    allocator->spec = spec;
    *out_allocator = allocator;
    return TARN_OK;
}

/* Allocating. */

/* The predictive allocator at the end of a stack of adaptors. A pool on top of it hands out parts of its buffers, not those. */
static tarn_status find_predictive(tarn_allocator *allocator, predictive **out_predictive) {
    if (allocator == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the predictive allocator is NULL");
    tarn_allocator *bottom = allocator;
    while (bottom->strategy->is_adaptor) bottom = bottom->upstream;
    if (bottom->strategy != &predictive_strategy) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s is not predictive", allocator->spec,
                         memory_device_name(allocator));
    }
    *out_predictive = predictive_of(bottom);
    return TARN_OK;
}

tarn_status tarn_predictive_allocate(tarn_allocator *allocator, const tarn_shape_bounds *bounds, tarn_element_type type,
                                     const tarn_allocate_options *options, tarn_buffer **out_buffer) {
    predictive *self;
    memory_shape shape = {.bounds = bounds, .type = type};
    tarn_status status = find_predictive(allocator, &self);
    if (status == TARN_OK) status = tarn_shape_bounds_check(bounds);
    if (status == TARN_OK) status = tarn_shape_bytes(&bounds->maximum, type, &shape.maximum);
    if (status == TARN_OK) status = tarn_shape_bytes(&bounds->expected, type, &shape.expected);
    if (status == TARN_OK) status = tarn_shape_bytes(&bounds->minimum, type, &shape.minimum);
    if (status != TARN_OK) return status;
    if (shape.expected == 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the expected shape has no elements", allocator->spec,
                         memory_device_name(allocator));
    }
    return memory_allocate_shaped(allocator, shape.expected, &shape, options, MEMORY_CALL_SITE(), out_buffer);
}

/* Figures. */

tarn_status tarn_predictive_stats_get(tarn_allocator *allocator, tarn_predictive_stats *out_stats) {
    predictive *self;
    tarn_status status = find_predictive(allocator, &self);
    if (status == TARN_OK) status = memory_check_callback(allocator, "read its statistics");
    if (status != TARN_OK) return status;
    if (out_stats == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the statistics is NULL");
    pthread_mutex_lock(&self->lock);
    tarn_predictive_stats stats = self->done;
    stats.allocations = memory_tally_allocations(&self->tally);
    stats.frees = memory_tally_frees(&self->tally);
    stats.live = self->tally.blocks.current;
    stats.sites = self->sites.count;
    pthread_mutex_unlock(&self->lock);
    stats.struct_size = sizeof stats;
    if (stats.allocated_bytes > 0) {
        stats.average_utilization = 1 - (double)stats.wasted_bytes / (double)stats.allocated_bytes;
    }
    return base_fill_structure(out_stats, &stats, sizeof stats, "tarn_predictive_stats");
}

size_t tarn_predictive_stats_to_report(const tarn_predictive_stats *stats, char *out_text, size_t capacity) {
    tarn_predictive_stats s = {0};
    size_t size = stats != NULL ? stats->struct_size : 0;
    if (size > 0) memcpy(&s, stats, size < sizeof s ? size : sizeof s);
    char allocated[TARN_SIZE_TEXT], wasted[TARN_SIZE_TEXT], moved[TARN_SIZE_TEXT];
    base_text text;
    base_text_begin(&text, out_text, capacity);
    base_text_put(&text, "Allocations: %" PRIu64 " (%" PRIu64 " freed, %" PRIu64 " live, %" PRIu64 " sites)\n",
                  s.allocations, s.frees, s.live, s.sites);
    base_text_put(&text,
                  "Resizes: %" PRIu64 " (%" PRIu64 " grew in place, %" PRIu64 " shrank in place, %" PRIu64
                  " moved with %s copied, %" PRIu64 " refused)\n",
                  s.resizes, s.in_place_growths, s.in_place_shrinks, s.moves, tarn_size_format(s.moved_bytes, moved),
                  s.refused);
    base_text_put(&text, "Bytes allocated: %s over %" PRIu64 " uses\n", tarn_size_format(s.allocated_bytes, allocated),
                  s.uses);
    base_text_put(&text, "Bytes wasted: %s\n", tarn_size_format(s.wasted_bytes, wasted));
    base_text_put(&text, "Average utilization: %u.%u %%\n", (unsigned)(s.average_utilization * 1000 + 0.5) / 10,
                  (unsigned)(s.average_utilization * 1000 + 0.5) % 10);
    return text.length;
}
