/* Handles, and what is asked of the padding strategy for them. */
#include "memory/predictive_handles.h"

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/stack.h"
#include "memory/stats.h"

/* The bounds of a request: its own, or for plain bytes anything up to what memory can have. */
static void take_bounds(predictive_handle *handle, const memory_request *request) {
    const memory_shape *shape = request->shape;
    if (shape == NULL) {
        handle->type = TARN_ELEMENT_U8;
        handle->bounds = (tarn_shape_bounds){.minimum = {.rank = 1},
                                             .maximum = {.rank = 1, .dims = {PTRDIFF_MAX}},
                                             .expected = {.rank = 1, .dims = {(int64_t)request->size}}};
        handle->expected = request->size;
        handle->maximum = PTRDIFF_MAX;
    } else {
        handle->type = shape->type;
        handle->bounds = *shape->bounds;
        handle->minimum = shape->minimum;
        handle->expected = shape->expected;
        handle->maximum = shape->maximum;
    }
    handle->shape = handle->bounds.expected;
}

tarn_status predictive_handle_create(predictive *self, const memory_request *request, predictive_handle **out_handle) {
    predictive_handle *handle = base_allocate(1, sizeof *handle);
    memory_block *block = handle != NULL ? block_create() : NULL;
    if (block == NULL) {
        base_free(handle);
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe a buffer",
                         tarn_device_name(self->base.device));
    }
    handle->block = block;
    take_bounds(handle, request);
    memory_block_fill(block, request, &self->base);
    block->stream = hal_stream_number(request->stream);
    block->home = handle;
    handle->alignment = request->alignment;
    handle->allocated_ns = base_clock_ns();
    *out_handle = handle;
    return TARN_OK;
}

void predictive_handle_destroy(predictive_handle *handle) {
    block_destroy(handle->block);
    base_free(handle);
}

/* Asking the strategy. */

static tarn_padding_request describe(const predictive_handle *handle, size_t needed) {
    tarn_padding_request request = {
        .struct_size = sizeof request,
        .needed = needed,
        .capacity = handle->memory != NULL ? handle->memory->capacity : 0,
        .minimum = handle->minimum,
        .expected = handle->expected,
        .maximum = handle->maximum,
        .recent_count = 1,
        .recent_largest = needed,
        .site = handle->site,
    };
    /* This use is one of them, and the oldest of a full ring makes room for it. */
    for (size_t i = 1; i < TARN_PADDING_RECENT && i <= handle->used; i++) {
        size_t bytes = handle->recent[(handle->used - i) % TARN_PADDING_RECENT];
        if (bytes > request.recent_largest) request.recent_largest = bytes;
        request.recent_count++;
    }
    return request;
}

size_t predictive_required(predictive *self, const predictive_handle *handle, size_t needed) {
    tarn_padding_request request = describe(handle, needed);
    memory_callback callback;
    if (!self->is_built_in) memory_callback_begin(&callback, &self->base, true);
    size_t required = self->strategy.required_size(self->strategy.context, &request);
    if (!self->is_built_in) memory_callback_end(&callback);
    if (required > handle->maximum) required = handle->maximum;
    if (required < needed) required = needed;
    size_t rounded;
    size_t unit = hal_device_properties(self->base.device)->alignment;
    return checked_round_up(required, unit, &rounded) && rounded <= PTRDIFF_MAX ? rounded : required;
}

bool predictive_should_resize(predictive *self, const predictive_handle *handle, size_t needed) {
    if (self->strategy.should_resize == NULL) return false;
    tarn_padding_request request = describe(handle, needed);
    memory_callback callback;
    if (!self->is_built_in) memory_callback_begin(&callback, &self->base, true);
    bool should = self->strategy.should_resize(self->strategy.context, &request) != 0;
    if (!self->is_built_in) memory_callback_end(&callback);
    return should;
}

size_t predictive_reach(const predictive *self, const predictive_handle *handle, size_t wanted) {
    /* Nothing grows beyond what the device has; without bounds, twice as much is a good guess. */
    uint64_t total = hal_device_properties(self->base.device)->memory_total;
    size_t reach = handle->maximum;
    if (reach == PTRDIFF_MAX) reach = wanted <= PTRDIFF_MAX / 2 ? 2 * wanted : PTRDIFF_MAX;
    if (reach > total) reach = (size_t)total;
    return reach > wanted ? reach : wanted;
}

/* Memory and figures. */

void predictive_attach(predictive *self, predictive_handle *handle, predictive_memory *memory) {
    handle->memory = memory;
    memory->handle = handle;
    memory->stream = handle->block->stream;
    handle->block->address = (void *)memory->range.start; /* NOLINT(performance-no-int-to-ptr) */
    handle->block->capacity = memory->capacity;
    memory_figure_add(&self->tally.in_use, memory->capacity);
    memory_figure_set(&self->cached, self->reserved.current - self->tally.in_use.current);
}

predictive_memory *predictive_detach(predictive *self, predictive_handle *handle) {
    predictive_memory *memory = handle->memory;
    handle->memory = NULL;
    memory->handle = NULL;
    memory_figure_subtract(&self->tally.in_use, memory->capacity);
    memory_figure_set(&self->cached, self->reserved.current - self->tally.in_use.current);
    return memory;
}

void predictive_note_use(predictive *self, predictive_handle *handle, size_t bytes, bool is_learnt) {
    tarn_predictive_stats *done = &self->done;
    handle->recent[handle->used++ % TARN_PADDING_RECENT] = bytes;
    if (is_learnt) predictive_site_record(handle->site, bytes);
    done->uses = saturating_add(done->uses, 1);
    done->allocated_bytes = saturating_add(done->allocated_bytes, handle->memory->capacity);
    done->wasted_bytes = saturating_add(done->wasted_bytes, handle->memory->capacity - bytes);
}
