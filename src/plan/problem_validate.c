/* Refusing what is no planning problem, with a sentence that names the buffer. */
#include "base/memory.h"
#include "base/status.h"
#include "plan/check.h"
#include "plan/problem.h"

#include <inttypes.h>

#define MAXIMUM_COUNT ((size_t)1 << 31)

static tarn_status validate_gaps(const tarn_plan_buffer *buffer, size_t index) {
    if (buffer->gap_count != 0 && buffer->gaps == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "buffer %zu has %" PRIu32 " gaps, and NULL for them", index,
                         buffer->gap_count);
    }
    int64_t earliest = buffer->lower;
    for (uint32_t i = 0; i < buffer->gap_count; i++) {
        const tarn_plan_gap *gap = &buffer->gaps[i];
        if (gap->lower >= gap->upper || gap->lower < earliest || gap->upper > buffer->upper) {
            return base_fail(TARN_INVALID_ARGUMENT,
                             "buffer %zu: its gap %" PRIu32 " in [%" PRId64 ", %" PRId64 ") has to lie in [%" PRId64
                             ", %" PRId64 ")",
                             index, i, gap->lower, gap->upper, earliest, buffer->upper);
        }
        if (gap->window_lower > gap->window_upper || gap->window_upper > buffer->size) {
            return base_fail(TARN_INVALID_ARGUMENT,
                             "buffer %zu: the window [%" PRIu64 ", %" PRIu64 ") of its gap %" PRIu32
                             " is no part of its %" PRIu64 " bytes",
                             index, gap->window_lower, gap->window_upper, i, buffer->size);
        }
        earliest = gap->upper;
    }
    return TARN_OK;
}

static tarn_status validate_buffer(const tarn_plan_buffer *buffer, size_t index) {
    if (buffer->lower >= buffer->upper) {
        return base_fail(TARN_INVALID_ARGUMENT, "buffer %zu lives in [%" PRId64 ", %" PRId64 "), which is no time",
                         index, buffer->lower, buffer->upper);
    }
    if (buffer->fixed_offset != TARN_PLAN_ANYWHERE && buffer->alignment > 1 &&
        buffer->fixed_offset % buffer->alignment != 0) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "buffer %zu is fixed at %" PRIu64 ", which is no multiple of its alignment %" PRIu64, index,
                         buffer->fixed_offset, buffer->alignment);
    }
    return validate_gaps(buffer, index);
}

/* Fixed buffers lie where they have to, so they must be a plan of their own. */
static tarn_status validate_fixed(const tarn_plan_buffer *buffers, size_t count, size_t fixed_count) {
    uint32_t *fixed = base_allocate(fixed_count, sizeof *fixed);
    uint64_t *offsets = base_allocate(fixed_count, sizeof *offsets);
    tarn_status status = TARN_OK;
    if (fixed == NULL || offsets == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "a plan with %zu fixed buffers: no host memory", fixed_count);
    } else {
        size_t found = 0;
        for (size_t i = 0; i < count; i++) {
            if (buffers[i].fixed_offset == TARN_PLAN_ANYWHERE) continue;
            fixed[found] = (uint32_t)i;
            offsets[found++] = buffers[i].fixed_offset;
        }
        status = plan_check_apart(buffers, fixed, offsets, fixed_count);
    }
    base_free(fixed);
    base_free(offsets);
    return status;
}

tarn_status plan_problem_validate(const tarn_plan_buffer *buffers, size_t count) {
    if (buffers == NULL && count != 0) return base_fail(TARN_INVALID_ARGUMENT, "the buffers of a plan are NULL");
    if (count > MAXIMUM_COUNT) {
        return base_fail(TARN_LIMIT_EXCEEDED, "a plan has %zu buffers; %zu are possible", count, MAXIMUM_COUNT);
    }
    size_t fixed_count = 0;
    for (size_t i = 0; i < count; i++) {
        tarn_status status = validate_buffer(&buffers[i], i);
        if (status != TARN_OK) return status;
        if (buffers[i].fixed_offset == TARN_PLAN_ANYWHERE) continue;
        if (buffers[i].fixed_offset >= (uint64_t)1 << 63 || buffers[i].size >= (uint64_t)1 << 63) {
            return base_fail(TARN_LIMIT_EXCEEDED, "buffer %zu, fixed at %" PRIu64 ", ends beyond 2^63", i,
                             buffers[i].fixed_offset);
        }
        fixed_count++;
    }
    return fixed_count != 0 ? validate_fixed(buffers, count, fixed_count) : TARN_OK;
}
