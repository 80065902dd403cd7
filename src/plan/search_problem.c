/* The search of a whole problem. A region is as high as its highest section, so only sections higher than what the region
 * needs are worth a search, the highest first; and as one that resists must not keep the others waiting, each is given a number of
 * attempts, and twice as many in the next turn. Turns are counted in attempts, not in time: so that one thread always finds the same. */
#include "plan/search.h"

#include "base/memory.h"
#include "base/status.h"
#include "plan/sort.h"

/* Above that a step of the search takes so long that it does not get far. */
#define MOST_BUFFERS 20000
/* Of the first turn; fewer where there are more buffers than usual, for which an attempt takes longer. */
#define FIRST_ATTEMPTS 64
#define USUAL_BUFFERS 500

typedef struct section_search {
    const plan_problem *problem;
    const plan_search_goal *goal;
    plan_watch *watch;
    uint64_t *offsets, *heights, *bounds;
    uint32_t *turns;
    uint64_t *needed; /* what each region needs, whatever is found */
    plan_keyed *open; /* the sections that are worth a search, the highest first */
    uint32_t open_count;
} section_search;

/* What is enough for a section: what its region needs anyhow, for another section or because the caller wants no less. */
static uint64_t enough_for(const section_search *search, uint32_t number) {
    uint32_t region = search->problem->sections[number].region;
    uint64_t capacity = search->goal->capacities[region];
    return search->goal->stops_at_capacity && capacity > search->needed[region] ? capacity : search->needed[region];
}

/* Gathers the sections that are worth a search, the highest first. */
static void list_open(section_search *search, plan_keyed *scratch) {
    const plan_problem *problem = search->problem;
    for (uint32_t i = 0; i < problem->region_count; i++) search->needed[i] = problem->regions[i].resting_height;
    for (uint32_t i = 0; i < problem->section_count; i++) {
        uint64_t *needed = &search->needed[problem->sections[i].region];
        if (search->bounds[i] > *needed) *needed = search->bounds[i];
    }
    for (uint32_t i = 0; i < problem->section_count; i++) {
        bool is_closed = problem->sections[i].count > MOST_BUFFERS || search->turns[i] == PLAN_SEARCH_CLOSED;
        if (is_closed || search->heights[i] <= enough_for(search, i)) continue;
        search->open[search->open_count++] = (plan_keyed){UINT64_MAX - search->heights[i], i};
    }
    plan_sort(search->open, scratch, search->open_count);
}

/* Makes some attempts at a section, twice as many as in its last turn. */
static tarn_status take_turn(const section_search *search, uint32_t number, bool *out_is_open) {
    const plan_section *section = &search->problem->sections[number];
    uint64_t capacity = search->goal->capacities[section->region], attempts = FIRST_ATTEMPTS;
    if (section->count > USUAL_BUFFERS) attempts = FIRST_ATTEMPTS * USUAL_BUFFERS / section->count + 1;
    uint64_t first = attempts * (((uint64_t)1 << search->turns[number]) - 1);
    bool is_over;
    plan_search_options options = {.enough = enough_for(search, number),
                                   .aim = capacity != UINT64_MAX ? capacity : 0,
                                   .first_attempt = first,
                                   .attempt_count = attempts << search->turns[number],
                                   .seed = first,
                                   .threads = search->goal->threads,
                                   .watch = search->watch};
    uint64_t *bound = &search->bounds[number], *needed = &search->needed[section->region];
    tarn_status status = plan_search(section, &options, search->offsets + (section->source - search->problem->source),
                                     &search->heights[number], bound, &is_over);
    if (*bound > *needed) *needed = *bound;
    search->turns[number] = is_over ? PLAN_SEARCH_CLOSED : search->turns[number] + 1;
    *out_is_open = *out_is_open || !is_over;
    return status;
}

static tarn_status take_turns(const section_search *search, bool *out_is_open, void (*news)(void *context),
                              void *context) {
    for (uint32_t i = 0; i < search->open_count; i++) {
        if (plan_watch_is_over(search->watch)) return TARN_OK;
        uint32_t number = search->open[i].item;
        uint64_t height = search->heights[number];
        tarn_status status = take_turn(search, number, out_is_open);
        if (search->heights[number] < height && news != NULL) news(context);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

tarn_status plan_search_problem(const plan_problem *problem, const plan_search_goal *goal, plan_watch *watch,
                                uint64_t *offsets, uint64_t *heights, uint64_t *bounds, uint32_t *turns,
                                bool *out_is_open, void (*news)(void *context), void *context) {
    section_search mine = {.problem = problem,
                           .goal = goal,
                           .watch = watch,
                           .offsets = offsets,
                           .heights = heights,
                           .bounds = bounds,
                           .turns = turns};
    size_t sections = problem->section_count;
    if (sections == 0) return TARN_OK;
    mine.needed = base_allocate(problem->region_count, sizeof *mine.needed);
    mine.open = base_allocate(2 * sections, sizeof *mine.open);
    tarn_status status = TARN_OK;
    if (mine.needed == NULL || mine.open == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "planning %zu sections: no host memory for the search", sections);
    } else {
        list_open(&mine, mine.open + sections);
        status = take_turns(&mine, out_is_open, news, context);
    }
    base_free(mine.needed);
    base_free(mine.open);
    return status;
}
