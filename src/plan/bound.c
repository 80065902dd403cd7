/* Lower bounds: what no plan can be below.
 *
 * All bytes that live at one time have places of their own, so the most of them that live in one slot are a bound. Where every offset is a
 * multiple of a unit, each buffer keeps the rest of its last unit from the others; only the highest one's may be beyond
 * the end. */
#include <inttypes.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/load.h"
#include "plan/problem.h"

/* Sets a section's lower bound, with sizes rounded to units, and returns what it needs in bytes. `load` has room for its slots. */
static uint64_t bound_section(plan_section *section, const tarn_plan_buffer *buffers, uint64_t *load) {
    uint32_t peak = 0;
    plan_load(section, load);
    for (uint32_t slot = 1; slot < section->slot_count; slot++)
        if (load[slot] > load[peak]) peak = slot;
    /* At the peak, all but the topmost buffer keep their whole last units. */
    uint64_t bound = load[peak], bytes = 0, greatest_rest = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        uint64_t offset = section->fixed[i] == TARN_PLAN_ANYWHERE ? 0 : section->fixed[i];
        uint64_t size = buffers[section->source[i]].size, rest = section->size[i] - size;
        if (offset + section->size[i] > bound) bound = offset + section->size[i];
        if (offset + size > bytes) bytes = offset + size;
        bool is_at_peak = section->lower[i] <= peak && peak < section->upper[i];
        if (is_at_peak && rest > greatest_rest) greatest_rest = rest;
    }
    section->lower_bound = bound;
    return load[peak] - greatest_rest > bytes ? load[peak] - greatest_rest : bytes;
}

tarn_status plan_problem_bound(plan_problem *problem, const tarn_plan_buffer *buffers) {
    uint32_t slots = 0;
    for (uint32_t i = 0; i < problem->section_count; i++)
        if (problem->sections[i].slot_count > slots) slots = problem->sections[i].slot_count;
    uint64_t *load = base_allocate(slots, sizeof *load);
    if (load == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "a plan's lower bound: no host memory for %" PRIu32 " moments", slots);
    }
    for (uint32_t i = 0; i < problem->region_count; i++)
        problem->regions[i].lower_bound = problem->regions[i].resting_height;
    for (uint32_t i = 0; i < problem->section_count; i++) {
        plan_section *section = &problem->sections[i];
        plan_region *region = &problem->regions[section->region];
        uint64_t bytes = bound_section(section, buffers, load);
        if (section->lower_bound > region->section_bound) region->section_bound = section->lower_bound;
        if (bytes > region->lower_bound) region->lower_bound = bytes;
    }
    base_free(load);
    return TARN_OK;
}

tarn_status tarn_plan_lower_bound(const tarn_plan_buffer *buffers, size_t count, uint32_t region, uint64_t *out_bytes) {
    if (out_bytes == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a plan's lower bound is NULL");
    plan_problem problem;
    tarn_status status = plan_problem_validate(buffers, count);
    if (status == TARN_OK) status = plan_problem_begin(&problem, buffers, count);
    if (status != TARN_OK) return status;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < problem.region_count; i++)
        if (problem.regions[i].number == region) bytes = problem.regions[i].lower_bound;
    plan_problem_end(&problem);
    *out_bytes = bytes;
    return TARN_OK;
}
