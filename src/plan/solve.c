/* The planner's driver: the heuristics on each section, then improvement and search in turns where they leave something to gain. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "base/thread.h"
#include "plan/heuristic.h"
#include "plan/improve.h"
#include "plan/problem.h"
#include "plan/search.h"
#include "plan/squeeze.h"
#include "plan/watch.h"

#define SECOND_NS 1e9
/* Sections of fewer buffers are the search's alone. */
#define LEAST_IMPROVED 400
/* Rounds of the first turn, and where each takes long. */
#define FIRST_ROUNDS 16
#define LONG_ROUND 40000
#define FIRST_LONG_ROUNDS 2
/* So many looks at each buffer squeezing takes in the time of a round. */
#define LOOKS_OF_BUFFER 100
#define CHECK_TIME 6

/* One call of tarn_plan_solve. */
typedef struct plan_solver {
    const tarn_plan_buffer *buffers;
    size_t count;
    tarn_plan_options options;
    plan_problem problem;
    plan_watch watch;
    uint64_t *offsets;    /* as `problem.source`: in order of the sections */
    uint64_t *heights;    /* of each section, sizes rounded to units */
    uint64_t *bounds;     /* of each section, which its height cannot be below */
    uint32_t *turns;      /* of the search, that each section had */
    uint64_t *capacities; /* of each region of the problem */
    uint64_t *results;    /* in the caller's order */
} plan_solver;

/* The sum over the regions of the heights of the sections that have been planned, and bounds for the others. */
static uint64_t rounded_height(const plan_solver *solver) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < solver->problem.region_count; i++) {
        const plan_region *region = &solver->problem.regions[i];
        uint64_t height = region->resting_height;
        for (uint32_t j = region->first_section; j < region->first_section + region->section_count; j++)
            if (solver->heights[j] > height) height = solver->heights[j];
        sum += height;
    }
    return sum;
}

/* What a region's height in bytes cannot be below. A section's bound is of rounded sizes: where the search has raised it, the
 * bytes that rounding adds to the topmost buffer may be missing. */
static uint64_t bound_of(const plan_solver *solver, const plan_region *region) {
    uint64_t bound = region->lower_bound;
    for (uint32_t i = region->first_section; i < region->first_section + region->section_count; i++) {
        uint64_t proved = solver->bounds[i];
        if (proved > solver->problem.sections[i].lower_bound && proved - region->unit + 1 > bound) {
            bound = proved - region->unit + 1;
        }
    }
    return bound;
}

static uint64_t sum_of_bounds(const plan_solver *solver) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < solver->problem.region_count; i++) sum += bound_of(solver, &solver->problem.regions[i]);
    return sum;
}

static void tell_news(void *context) {
    plan_solver *solver = context;
    plan_watch_tell(&solver->watch, rounded_height(solver), sum_of_bounds(solver));
}

static uint64_t capacity_of(const plan_solver *solver, uint32_t region) {
    const tarn_plan_options *options = &solver->options;
    return options->capacities != NULL && region < options->region_count ? options->capacities[region] : UINT64_MAX;
}

static tarn_status plan_sections(plan_solver *solver) {
    plan_problem *problem = &solver->problem;
    for (uint32_t i = 0; i < problem->section_count; i++) {
        const plan_section *section = &problem->sections[i];
        uint64_t target = problem->regions[section->region].section_bound;
        solver->bounds[i] = section->lower_bound;
        tarn_status status = plan_heuristic(section, target, &solver->watch,
                                            solver->offsets + (section->source - problem->source), &solver->heights[i]);
        if (status != TARN_OK) return status;
    }
    tell_news(solver);
    return TARN_OK;
}

/* Whether no other section of the region is higher: only then does it matter how high this one is. */
static bool is_highest(const plan_solver *solver, uint32_t number) {
    const plan_region *region = &solver->problem.regions[solver->problem.sections[number].region];
    for (uint32_t i = region->first_section; i < region->first_section + region->section_count; i++)
        if (solver->heights[i] > solver->heights[number]) return false;
    return true;
}

/* Improves the section for a turn, unless it is low enough or small enough for the search to do better. `*out_is_open`: more turns may help. */
static tarn_status improve_section(plan_solver *solver, uint32_t number, unsigned turn, unsigned threads,
                                   bool *out_is_open) {
    const plan_section *section = &solver->problem.sections[number];
    uint64_t capacity = solver->capacities[section->region], *height = &solver->heights[number], before = *height;
    uint64_t enough = solver->problem.regions[section->region].section_bound;
    if (solver->options.stops_at_capacity && capacity > enough) enough = capacity;
    if (section->count < LEAST_IMPROVED || before <= enough || !is_highest(solver, number)) return TARN_OK;
    uint64_t *offsets = solver->offsets + (section->source - solver->problem.source);
    /* The heuristics did the rounds before FIRST_LONG_ROUNDS, where each takes long. */
    bool is_long = section->count >= LONG_ROUND;
    uint64_t first_rounds = is_long ? FIRST_LONG_ROUNDS : FIRST_ROUNDS, rounds = first_rounds << turn;
    plan_improve_options improve = {.enough = enough,
                                    .first_round = is_long ? rounds : rounds - first_rounds,
                                    .rounds = rounds,
                                    .threads = threads,
                                    .watch = &solver->watch};
    tarn_status status = plan_improve(section, &improve, offsets, height);
    if (status == TARN_OK && plan_squeeze_suits(section)) {
        plan_squeeze_options squeeze = {.enough = enough,
                                        .looks = rounds * LOOKS_OF_BUFFER * section->count,
                                        .seed = turn,
                                        .threads = threads,
                                        .watch = &solver->watch};
        status = plan_squeeze(section, &squeeze, offsets, height);
    }
    if (*height < before) tell_news(solver);
    *out_is_open = true;
    return status;
}

static tarn_status improve_sections(plan_solver *solver, unsigned turn, unsigned threads, bool *out_is_open) {
    for (uint32_t i = 0; i < solver->problem.section_count; i++) {
        tarn_status status = improve_section(solver, i, turn, threads, out_is_open);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

static tarn_status search_sections(plan_solver *solver, unsigned threads, bool *out_is_open) {
    plan_search_goal goal = {.capacities = solver->capacities,
                             .stops_at_capacity = solver->options.stops_at_capacity != 0,
                             .threads = threads};
    return plan_search_problem(&solver->problem, &goal, &solver->watch, solver->offsets, solver->heights,
                               solver->bounds, solver->turns, out_is_open, tell_news, solver);
}

/* Improves large sections and searches small ones in turns, each twice as long as the one before, so that nothing that resists keeps the
 * others waiting. */
static tarn_status plan_regions(plan_solver *solver) {
    for (uint32_t i = 0; i < solver->problem.region_count; i++)
        solver->capacities[i] = capacity_of(solver, solver->problem.regions[i].number);
    unsigned threads = solver->options.threads != 0 ? solver->options.threads : base_processor_count();
    tarn_status status = plan_sections(solver);
    bool is_open = true;
    for (unsigned turn = 0; is_open && status == TARN_OK && !plan_watch_is_over(&solver->watch); turn++) {
        is_open = false;
        status = improve_sections(solver, turn, threads, &is_open);
        if (status == TARN_OK) status = search_sections(solver, threads, &is_open);
    }
    return status;
}

/* Brings the offsets into the caller's order; a buffer that needs no place is at 0, or where it is fixed. */
static void write_results(plan_solver *solver) {
    for (size_t i = 0; i < solver->count; i++) {
        uint64_t fixed = solver->buffers[i].fixed_offset;
        solver->results[i] = fixed == TARN_PLAN_ANYWHERE ? 0 : fixed;
    }
    for (uint32_t i = 0; i < solver->problem.count; i++)
        solver->results[solver->problem.source[i]] = solver->offsets[i];
}

/* A region's height in bytes. */
static uint64_t height_of(const plan_solver *solver, const plan_region *region) {
    const plan_problem *problem = &solver->problem;
    uint64_t height = region->resting_height;
    for (uint32_t i = region->first_section; i < region->first_section + region->section_count; i++) {
        const plan_section *section = &problem->sections[i];
        for (uint32_t j = 0; j < section->count; j++) {
            uint64_t top = solver->results[section->source[j]] + solver->buffers[section->source[j]].size;
            if (top > height) height = top;
        }
    }
    return height;
}

static void judge(const plan_solver *solver, tarn_plan_result *out_result) {
    *out_result = (tarn_plan_result){.struct_size = sizeof *out_result, .is_optimal = 1, .is_feasible = 1};
    for (uint32_t i = 0; i < solver->problem.region_count; i++) {
        const plan_region *region = &solver->problem.regions[i];
        uint64_t height = height_of(solver, region), capacity = capacity_of(solver, region->number);
        out_result->height += height;
        uint64_t bound = bound_of(solver, region);
        out_result->lower_bound += bound;
        if (height > bound) out_result->is_optimal = 0;
        if (height > capacity) out_result->is_feasible = 0;
        if (bound > capacity) out_result->is_infeasible = 1;
    }
    out_result->is_cancelled = atomic_load(&solver->watch.is_cancelled);
}

static tarn_status solve(plan_solver *solver, tarn_plan_result *out_result) {
    solver->offsets = base_allocate(solver->problem.count, sizeof *solver->offsets);
    solver->heights = base_allocate(solver->problem.section_count, sizeof *solver->heights);
    solver->bounds = base_allocate(solver->problem.section_count, sizeof *solver->bounds);
    solver->turns = base_allocate(solver->problem.section_count, sizeof *solver->turns);
    solver->capacities = base_allocate(solver->problem.region_count, sizeof *solver->capacities);
    if (solver->offsets == NULL || solver->heights == NULL || solver->bounds == NULL || solver->turns == NULL ||
        solver->capacities == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "planning %zu buffers: no host memory for offsets", solver->count);
    }
    /* The check at the end takes a few times as long as what has been done so far. */
    plan_watch_reserve(&solver->watch, CHECK_TIME * (base_clock_ns() - solver->watch.begin_ns));
    tarn_status status = plan_regions(solver);
    if (status != TARN_OK) return status;
    solver->results = base_allocate(solver->count, sizeof *solver->results);
    if (solver->results == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "planning %zu buffers: no host memory for offsets", solver->count);
    }
    write_results(solver);
    judge(solver, out_result);
    /* The check needs nothing of all this, but as much memory. */
    plan_problem_end(&solver->problem);
    base_free(solver->offsets);
    solver->offsets = NULL;
    status = tarn_plan_check(solver->buffers, solver->count, NULL, 0, solver->results);
    if (status == TARN_INVALID_ARGUMENT) return base_fail_within(TARN_INTERNAL, "the planner's own plan is wrong");
    out_result->seconds = (double)(base_clock_ns() - solver->watch.begin_ns) / SECOND_NS;
    return status;
}

tarn_status tarn_plan_solve(const tarn_plan_buffer *buffers, size_t count, const tarn_plan_options *options,
                            uint64_t *out_offsets, tarn_plan_result *out_result) {
    plan_solver solver = {.buffers = buffers, .count = count};
    tarn_status status = base_read_structure("tarn_plan_solve", options, &solver.options, sizeof solver.options);
    if (status != TARN_OK) return status;
    if (out_offsets == NULL && count != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "the place for a plan's offsets is NULL");
    }
    if (solver.options.capacities == NULL && solver.options.region_count != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "a plan has capacities for %" PRIu32 " regions, and NULL for them",
                         solver.options.region_count);
    }
    tarn_plan_result unused = {.struct_size = sizeof unused};
    if (out_result == NULL) out_result = &unused;
    plan_watch_begin(&solver.watch, &solver.options);
    status = plan_problem_validate(buffers, count);
    if (status == TARN_OK) status = plan_problem_begin(&solver.problem, buffers, count);
    if (status == TARN_OK) {
        tarn_plan_result result;
        status = solve(&solver, &result);
        if (status == TARN_OK) {
            status = base_fill_structure(out_result, &result, sizeof result, "the result of a plan");
        }
        if (status == TARN_OK && count != 0) memcpy(out_offsets, solver.results, count * sizeof *out_offsets);
        plan_problem_end(&solver.problem);
    }
    plan_watch_end(&solver.watch);
    base_free(solver.offsets);
    base_free(solver.heights);
    base_free(solver.bounds);
    base_free(solver.turns);
    base_free(solver.capacities);
    base_free(solver.results);
    return status;
}
