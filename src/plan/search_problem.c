/* The search of a whole problem. A region is as high as its highest section, so only sections higher than what the region
 * needs are worth a search, the highest first; and as one that resists must not keep the others waiting, each is given a number of
 * attempts, and twice as many in the next turn. Turns are counted in attempts, not in time: so that one thread always finds the same. */
#include "plan/search.h"

#include "base/memory.h"
#include "base/status.h"
#include "plan/sort.h"

/* Above that a step of the search takes so long that it does not get far. */
#define MOST_BUFFERS 20000
#define FIRST_ATTEMPTS 64

/* A section that is worth a search. */
typedef struct open_section {
    uint32_t section;
    uint64_t first_attempt;
} open_section;

typedef struct section_search {
    const plan_problem *problem;
    const plan_search_goal *goal;
    plan_watch *watch;
    uint64_t *offsets, *heights, *bounds;
    uint64_t *needed; /* what each region needs, whatever is found */
    open_section *open;
    uint32_t open_count;
} section_search;

/* What is enough for a section: what its region needs anyhow, for another section or because the caller wants no less. */
static uint64_t enough_for(const section_search *search, uint32_t number) {
    uint32_t region = search->problem->sections[number].region;
    uint64_t capacity = search->goal->capacities[region];
    return search->goal->stops_at_capacity && capacity > search->needed[region] ? capacity : search->needed[region];
}

/* Gathers the sections that are worth a search, the highest first. */
static void list_open(section_search *search, plan_keyed *keyed, plan_keyed *scratch) {
    const plan_problem *problem = search->problem;
    for (uint32_t i = 0; i < problem->region_count; i++) search->needed[i] = problem->regions[i].resting_height;
    for (uint32_t i = 0; i < problem->section_count; i++) {
        uint64_t *needed = &search->needed[problem->sections[i].region];
        if (search->bounds[i] > *needed) *needed = search->bounds[i];
    }
    for (uint32_t i = 0; i < problem->section_count; i++) {
        if (problem->sections[i].count > MOST_BUFFERS || search->heights[i] <= enough_for(search, i)) continue;
        keyed[search->open_count++] = (plan_keyed){UINT64_MAX - search->heights[i], i};
    }
    plan_sort(keyed, scratch, search->open_count);
    for (uint32_t i = 0; i < search->open_count; i++) search->open[i] = (open_section){.section = keyed[i].item};
}

/* Makes so many more attempts at a section. */
static tarn_status take_turn(const section_search *search, open_section *open, uint64_t attempts, bool *out_is_over) {
    const plan_section *section = &search->problem->sections[open->section];
    uint64_t capacity = search->goal->capacities[section->region];
    plan_search_options options = {.enough = enough_for(search, open->section),
                                   .aim = capacity != UINT64_MAX ? capacity : 0,
                                   .first_attempt = open->first_attempt,
                                   .attempt_count = attempts,
                                   .seed = open->first_attempt,
                                   .threads = search->goal->threads,
                                   .watch = search->watch};
    open->first_attempt += attempts;
    uint64_t *bound = &search->bounds[open->section], *needed = &search->needed[section->region];
    tarn_status status = plan_search(section, &options, search->offsets + (section->source - search->problem->source),
                                     &search->heights[open->section], bound, out_is_over);
    if (*bound > *needed) *needed = *bound;
    return status;
}

static tarn_status take_turns(section_search *search, void (*news)(void *context), void *context) {
    tarn_status status = TARN_OK;
    for (uint64_t attempts = FIRST_ATTEMPTS; search->open_count > 0; attempts *= 2) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < search->open_count && status == TARN_OK; i++) {
            if (plan_watch_is_over(search->watch)) return TARN_OK;
            open_section *open = &search->open[i];
            uint64_t height = search->heights[open->section];
            bool is_over;
            status = take_turn(search, open, attempts, &is_over);
            if (search->heights[open->section] < height && news != NULL) news(context);
            if (status == TARN_OK && !is_over) search->open[kept++] = *open;
        }
        if (status != TARN_OK) return status;
        search->open_count = kept;
    }
    return TARN_OK;
}

tarn_status plan_search_problem(const plan_problem *problem, const plan_search_goal *goal, plan_watch *watch,
                                uint64_t *offsets, uint64_t *heights, uint64_t *bounds, void (*news)(void *context),
                                void *context) {
    section_search mine = {
        .problem = problem, .goal = goal, .watch = watch, .offsets = offsets, .heights = heights, .bounds = bounds};
    size_t sections = problem->section_count;
    if (sections == 0) return TARN_OK;
    mine.needed = base_allocate(problem->region_count, sizeof *mine.needed);
    mine.open = base_allocate(sections, sizeof *mine.open);
    plan_keyed *keyed = base_allocate(2 * sections, sizeof *keyed);
    tarn_status status = TARN_OK;
    if (mine.needed == NULL || mine.open == NULL || keyed == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "planning %zu sections: no host memory for the search", sections);
    } else {
        list_open(&mine, keyed, keyed + sections);
        status = take_turns(&mine, news, context);
    }
    base_free(mine.needed);
    base_free(mine.open);
    base_free(keyed);
    return status;
}
