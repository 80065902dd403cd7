/* The search's driver: attempts, each with an order, a target height and a number of dead ends after which it is given up, by
 * several threads that share the best plan and what has been proved.
 *
 * How long an attempt takes is a matter of luck: with one order there is a plan after a hundred steps, with another not after a billion.
 * So most attempts are short, and a few are long, as in Luby's sequence, which is at most a logarithm worse than the best length were
 * it known. Some attempts become twice as long each time, so that in the end everything is tried, which is the proof
 * that there is no plan of that height. */
#include "plan/search.h"

#include "base/status.h"
#include "plan/search_any.h"
#include "plan/search_order.h"
#include "plan/search_tree.h"
#include "plan/team.h"

/* Dead ends of the shortest attempts. */
#define SHORT_ATTEMPT 100
/* Attempts of a round. In the rounds 0, 1, 2, 4, 8, …, the last is long: this many short ones for each round up to it. */
#define ROUND 4
#define LONG_ATTEMPT 8

/* What the threads share. */
typedef struct plan_search_job {
    plan_team team;
    const plan_search_options *options;
    uint64_t grain;         /* every height of a plan where buffers rest on each other is a multiple */
    _Atomic uint64_t bound; /* the search finds no plan below it; raised with the team's lock held */
    uint64_t proved;        /* there is none below it; with that lock */
} plan_search_job;

/* The i-th number of Luby's sequence, from 1: 1 1 2 1 1 2 4 1 1 2 … */
static uint64_t luby(uint64_t i) {
    while (true) {
        uint64_t power = 1;
        while (2 * power - 1 < i) power *= 2;
        if (2 * power - 1 == i) return power;
        i -= power - 1;
    }
}

/* How many dead ends an attempt may meet. The long ones are so far apart that the others keep half of the time or more. */
static uint64_t dead_ends_of(uint64_t attempt) {
    uint64_t round = attempt / ROUND;
    bool is_long = attempt % ROUND == ROUND - 1 && (round & (round - 1)) == 0;
    return SHORT_ATTEMPT * (is_long ? LONG_ATTEMPT * (round + 1) : luby(round + 1));
}

static bool is_done(const plan_search_job *job) {
    uint64_t height = atomic_load(&job->team.height);
    return height <= job->options->enough || height <= atomic_load(&job->bound) ||
           plan_watch_is_over(job->options->watch);
}

/* The target of an attempt. In turns the bound, which is often reached and ends everything, and something between it and the present
 * height that is the easier the farther that is; where the aim has not been reached, that too. */
static uint64_t choose_target(const plan_search_job *job, uint64_t attempt) {
    uint64_t height = atomic_load(&job->team.height), bound = atomic_load(&job->bound), turn = attempt % ROUND;
    uint64_t aim = job->options->aim > job->options->enough ? job->options->aim : job->options->enough;
    if (bound < job->options->enough) bound = job->options->enough;
    bool has_aim = aim > bound && aim < height;
    if (has_aim && (turn == 0 || turn == 3)) return aim;
    /* In turn, of what is between them: nearer to the height, so that there is news soon, and nearer to the bound. */
    static const unsigned eighths[2][3] = {{4, 6, 7}, {1, 2, 4}};
    unsigned part = eighths[turn == 2][attempt / ROUND % 3];
    uint64_t between = bound + (height - bound) / 8 * part / job->grain * job->grain;
    if (turn == 1) return has_aim && between < aim ? aim : between;
    return turn == 2 && !has_aim ? between : bound;
}

/* All has been tried for the height `target`, which another section or a capacity may have set: no plan is lower than the next multiple
 * of the grain. */
static void keep_bound(plan_search_job *job, uint64_t target, bool is_proof) {
    pthread_mutex_lock(&job->team.lock);
    uint64_t bound = target - target % job->grain + job->grain;
    if (bound > atomic_load(&job->bound)) atomic_store(&job->bound, bound);
    if (is_proof && bound > job->proved) job->proved = bound;
    pthread_mutex_unlock(&job->team.lock);
}

/* What one thread searches with: one of two ways. */
typedef struct plan_search_tools {
    plan_search_orders orders;
    bool is_plain; /* the skyline suits the section */
    plan_search_tree tree;
    plan_search_any any;
} plan_search_tools;

static tarn_status tools_begin(plan_search_tools *tools, const plan_section *section, uint64_t seed) {
    tarn_status status = plan_search_orders_begin(&tools->orders, section, seed);
    if (status != TARN_OK) return status;
    tools->is_plain = !section->has_alignment && !section->has_fixed && section->first_piece == NULL;
    status =
        tools->is_plain ? plan_search_tree_begin(&tools->tree, section) : plan_search_any_begin(&tools->any, section);
    if (status != TARN_OK) plan_search_orders_end(&tools->orders);
    return status;
}

static void tools_end(plan_search_tools *tools) {
    plan_search_orders_end(&tools->orders);
    if (tools->is_plain) {
        plan_search_tree_end(&tools->tree);
    } else {
        plan_search_any_end(&tools->any);
    }
}

static tarn_status attempt_all(plan_search_job *job, plan_search_tools *tools) {
    const plan_search_options *options = job->options;
    for (uint64_t i = 0; i < options->attempt_count && !is_done(job); i++) {
        uint64_t attempt = options->first_attempt + i;
        uint64_t target = choose_target(job, attempt);
        plan_search_limit limit = {.fits_first = attempt / ROUND % 2 == 0,
                                   .dead_ends = dead_ends_of(attempt),
                                   .watch = job->options->watch,
                                   .height = &job->team.height,
                                   .bound = &job->bound};
        plan_search_orders_make(&tools->orders, attempt);
        const uint32_t *order = tools->orders.order;
        plan_search_end end = tools->is_plain ? plan_search_tree_run(&tools->tree, order, target, &limit)
                                              : plan_search_any_run(&tools->any, order, target, &limit);
        if (end == PLAN_SEARCH_FOUND) {
            plan_team_keep(&job->team, tools->is_plain ? tools->tree.skyline.offset : tools->any.offset);
        } else if (end == PLAN_SEARCH_IMPOSSIBLE || end == PLAN_SEARCH_EXHAUSTED) {
            keep_bound(job, target, end == PLAN_SEARCH_IMPOSSIBLE);
        } else if (end == PLAN_SEARCH_NO_MEMORY) {
            return base_fail(TARN_OUT_OF_MEMORY, "planning %u buffers: no host memory for the search",
                             job->team.section->count);
        }
    }
    return TARN_OK;
}

/* The others of the team end, too, where one fails. */
static tarn_status work(void *context, unsigned number) {
    plan_search_job *job = context;
    plan_search_tools tools;
    tarn_status status = tools_begin(&tools, job->team.section, job->options->seed ^ (uint64_t)number << 32);
    if (status == TARN_OK) {
        status = attempt_all(job, &tools);
        tools_end(&tools);
    }
    if (status != TARN_OK) plan_watch_stop(job->options->watch);
    return status;
}

/* What divides the height of every plan in which buffers rest on each other. */
static uint64_t grain_of(const plan_section *section) {
    uint64_t grain = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        grain = plan_common_divisor(section->size[i], grain);
        if (section->has_alignment) grain = plan_common_divisor(section->alignment[i], grain);
        if (section->fixed[i] != TARN_PLAN_ANYWHERE) grain = plan_common_divisor(section->fixed[i], grain);
    }
    uint32_t pieces = section->first_piece != NULL ? section->first_piece[section->count] : 0;
    for (uint32_t i = 0; i < pieces; i++) {
        grain = plan_common_divisor(section->pieces[i].bottom, grain);
        grain = plan_common_divisor(section->pieces[i].top, grain);
    }
    return grain;
}

tarn_status plan_search(const plan_section *section, const plan_search_options *options, uint64_t *offsets,
                        uint64_t *height, uint64_t *bound, bool *out_is_over) {
    plan_search_job job = {.options = options, .grain = grain_of(section), .proved = *bound};
    atomic_init(&job.bound, *bound);
    plan_team_begin(&job.team, section, offsets, *height);
    tarn_status status = plan_team_work(&job.team, options->threads, work, &job);
    *height = plan_team_end(&job.team);
    *bound = job.proved;
    *out_is_over = *height <= options->enough || *height <= atomic_load(&job.bound);
    return status;
}
