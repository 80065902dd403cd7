/* The built-in padding strategies: fixed, adaptive and quantile, as tarn/predictive.h describes them. Each is a table like those
 * that programs bring along. */
#include "memory/predictive_padding.h"

#include <string.h>

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* The product, cut at what memory can have. */
static size_t scale(size_t bytes, double factor) {
    double scaled = (double)bytes * factor;
    return scaled < (double)PTRDIFF_MAX ? (size_t)scaled : PTRDIFF_MAX;
}

static bool is_allocation(const tarn_padding_request *request) { return request->capacity == 0; }
static bool is_growth(const tarn_padding_request *request) { return request->needed > request->capacity; }

static size_t fixed_size(void *context, const tarn_padding_request *request) {
    const predictive_numbers *numbers = context;
    return scale(request->needed, numbers->factor);
}

static size_t adaptive_size(void *context, const tarn_padding_request *request) {
    const predictive_numbers *numbers = context;
    if (is_allocation(request)) {
        size_t recent = tarn_padding_site_recent_largest(request->site);
        return recent != 0 ? recent : scale(request->needed, numbers->factor);
    }
    if (is_growth(request)) return scale(request->capacity, numbers->growth);
    return request->recent_largest;
}

static int adaptive_should_resize(void *context, const tarn_padding_request *request) {
    const predictive_numbers *numbers = context;
    return request->recent_count == TARN_PADDING_RECENT &&
           (double)request->recent_largest < numbers->shrink * (double)request->capacity;
}

static size_t quantile_size(void *context, const tarn_padding_request *request) {
    const predictive_numbers *numbers = context;
    size_t quantile = tarn_padding_site_quantile(request->site, numbers->quantile);
    if (is_allocation(request)) return quantile != 0 ? quantile : scale(request->needed, numbers->factor);
    if (!is_growth(request)) return larger(request->recent_largest, quantile);
    double below = tarn_padding_site_fraction_below(request->site, request->needed);
    size_t median = tarn_padding_site_quantile(request->site, below + (1 - below) / 2);
    return median >= request->needed ? larger(median, quantile) : scale(request->capacity, numbers->growth);
}

static int quantile_should_resize(void *context, const tarn_padding_request *request) {
    const predictive_numbers *numbers = context;
    size_t quantile = tarn_padding_site_quantile(request->site, numbers->quantile);
    return adaptive_should_resize(context, request) && (double)quantile < numbers->shrink * (double)request->capacity;
}

static const tarn_padding_strategy strategies[] = {
    [TARN_PADDING_FIXED] = {.name = "fixed", .required_size = fixed_size},
    [TARN_PADDING_ADAPTIVE] = {.name = "adaptive",
                               .required_size = adaptive_size,
                               .should_resize = adaptive_should_resize},
    [TARN_PADDING_QUANTILE] = {.name = "quantile",
                               .required_size = quantile_size,
                               .should_resize = quantile_should_resize},
};
#define STRATEGIES (sizeof strategies / sizeof strategies[0])

tarn_padding_strategy predictive_padding(tarn_padding_kind kind, predictive_numbers *numbers) {
    tarn_padding_strategy strategy = strategies[kind];
    strategy.struct_size = sizeof strategy;
    strategy.context = numbers;
    return strategy;
}

const char *predictive_padding_name(tarn_padding_kind kind) { return strategies[kind].name; }

bool predictive_padding_find(const char *name, tarn_padding_kind *out_kind) {
    for (size_t i = 0; i < STRATEGIES; i++) {
        if (strcmp(strategies[i].name, name) != 0) continue;
        *out_kind = (tarn_padding_kind)i;
        return true;
    }
    return false;
}
