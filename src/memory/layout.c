/* Laying out buffers in one block; see layout.h. The planner does the work: this turns lifetimes into its problem, and its answer into
 * offsets that keep every alignment as long as the block keeps the greatest one. */
#include "memory/layout.h"

#include <tarn/plan.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

static size_t alignment_of(const memory_lifetime *lifetime) {
    return lifetime->alignment != 0 ? lifetime->alignment : LAYOUT_ALIGNMENT;
}

/* Fills the planner's problem, and what of the layout does not depend on the plan. */
static tarn_status fill(const memory_lifetime *lifetimes, tarn_plan_buffer *buffers, memory_layout *layout) {
    for (size_t i = 0; i < layout->count; i++) {
        size_t alignment = alignment_of(&lifetimes[i]);
        if (!is_power_of_two(alignment)) {
            return base_fail(TARN_INVALID_ARGUMENT, "the alignment of buffer %zu, %zu, is no power of two", i,
                             alignment);
        }
        if (!checked_add(layout->total, lifetimes[i].size, &layout->total)) {
            return base_fail(TARN_LIMIT_EXCEEDED,
                             "the sizes of the first %zu of %zu buffers add up to more than can be addressed", i + 1,
                             layout->count);
        }
        if (alignment > layout->alignment) layout->alignment = alignment;
        buffers[i] = (tarn_plan_buffer){
            .lower = lifetimes[i].begin,
            .upper = lifetimes[i].end,
            .size = lifetimes[i].size,
            .alignment = alignment,
            .fixed_offset = TARN_PLAN_ANYWHERE,
        };
    }
    return TARN_OK;
}

static tarn_status solve(const tarn_plan_buffer *buffers, double timeout_seconds, memory_layout *layout) {
    tarn_plan_options options = {.struct_size = sizeof options, .threads = 1, .timeout_seconds = timeout_seconds};
    tarn_plan_result result = {.struct_size = sizeof result};
    tarn_status status = tarn_plan_solve(buffers, layout->count, &options, layout->offsets, &result);
    if (status != TARN_OK) return status;
    layout->size = (size_t)result.height;
    layout->lower_bound = (size_t)result.lower_bound;
    return TARN_OK;
}

tarn_status memory_layout_create(const memory_lifetime *lifetimes, size_t count, double timeout_seconds,
                                 memory_layout **out_layout) {
    size_t bytes;
    bool fits = checked_multiply(count, sizeof(uint64_t), &bytes) && checked_add(bytes, sizeof(memory_layout), &bytes);
    memory_layout *layout = fits ? base_allocate(1, bytes) : NULL;
    /* One more than there are: nothing to lay out is no want of memory. */
    tarn_plan_buffer *buffers = fits ? base_allocate(count + 1, sizeof *buffers) : NULL;
    tarn_status status = TARN_OK;
    if (layout == NULL || buffers == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "no host memory to lay out %zu buffers", count);
    } else {
        layout->count = count;
        layout->alignment = 1;
        status = fill(lifetimes, buffers, layout);
        if (status == TARN_OK) status = solve(buffers, timeout_seconds, layout);
    }
    base_free(buffers);
    if (status != TARN_OK) {
        base_free(layout);
        return status;
    }
    *out_layout = layout;
    return TARN_OK;
}

void memory_layout_destroy(memory_layout *layout) { base_free(layout); }

tarn_status memory_layout_take(const memory_layout *layout, tarn_allocator *allocator, tarn_stream *stream,
                               const char *tag, tarn_buffer **out_block) {
    if (layout->size == 0) {
        *out_block = NULL;
        return TARN_OK;
    }
    tarn_allocate_options options = {
        .struct_size = sizeof options, .alignment = layout->alignment, .stream = stream, .tag = tag};
    return tarn_allocator_allocate_with(allocator, layout->size, &options, out_block);
}
