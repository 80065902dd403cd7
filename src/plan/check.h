/* The verifier's inner part, for the validation of fixed buffers. */
#ifndef PLAN_CHECK_H
#define PLAN_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/plan.h>

/* Whether the buffers with these indices, at these offsets, overlap nowhere in time and space; offsets and sizes are below 2^63. The
 * indices of a problem's first `count` buffers where `indices` is NULL. INVALID_ARGUMENT with both names; OUT_OF_MEMORY. */
tarn_status plan_check_apart(const tarn_plan_buffer *buffers, const uint32_t *indices, const uint64_t *offsets,
                             size_t count);

#endif
