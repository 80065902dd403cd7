/* The search's driver: attempts, each with an order, a target height and a number of dead ends after which it is given up, by
 * several threads that share the best plan and what has been proved.
 *
 * How long an attempt takes is a matter of luck: with one order there is a plan after a hundred steps, with another not after a billion.
 * So most attempts are short, and a few are long, as in Luby's sequence, which is at most a logarithm worse than the best length were
 * it known. Some attempts become twice as long each time, so that in the end everything is tried, which is the proof
 * that there is no plan of that height. */
#include "plan/search.h"

#include <string.h>

#include "base/status.h"
#include "base/thread.h"
#include "plan/search_any.h"
#include "plan/search_order.h"
#include "plan/search_tree.h"

#define MOST_THREADS 64
/* Dead ends of the shortest attempts. */
#define SHORT_ATTEMPT 100
/* Attempts of a round. In the rounds 0, 1, 2, 4, 8, …, the last is long: this many short ones for each round up to it. */
#define ROUND 4
#define LONG_ATTEMPT 8

/* What the threads share. */
typedef struct plan_search_team {
    const plan_section *section;
    const plan_search_options *options;
    uint64_t grain; /* every height of a plan where buffers rest on each other is a multiple */
    _Atomic uint64_t height;
    _Atomic uint64_t bound; /* the search finds no plan below it */
    pthread_mutex_t lock;   /* for all below */
    uint64_t proved;        /* there is none below it */
    uint64_t *offsets;
    tarn_status status; /* of the first thread that failed */
} plan_search_team;

typedef struct plan_search_worker {
    plan_search_team *team;
    unsigned number;
    pthread_t thread;
} plan_search_worker;

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

static bool is_done(const plan_search_team *team) {
    uint64_t height = atomic_load(&team->height);
    return height <= team->options->enough || height <= atomic_load(&team->bound) ||
           plan_watch_is_over(team->options->watch);
}

/* The target of an attempt. In turns the bound, which is often reached and ends everything, and something between it and the present
 * height that is the easier the farther that is; where the aim has not been reached, that too. */
static uint64_t choose_target(const plan_search_team *team, uint64_t attempt) {
    uint64_t height = atomic_load(&team->height), bound = atomic_load(&team->bound), turn = attempt % ROUND;
    uint64_t aim = team->options->aim > team->options->enough ? team->options->aim : team->options->enough;
    if (bound < team->options->enough) bound = team->options->enough;
    bool has_aim = aim > bound && aim < height;
    if (has_aim && (turn == 0 || turn == 3)) return aim;
    /* In turn, of what is between them: nearer to the height, so that there is news soon, and nearer to the bound. */
    static const unsigned eighths[2][3] = {{4, 6, 7}, {1, 2, 4}};
    unsigned part = eighths[turn == 2][attempt / ROUND % 3];
    uint64_t between = bound + (height - bound) / 8 * part / team->grain * team->grain;
    if (turn == 1) return has_aim && between < aim ? aim : between;
    return turn == 2 && !has_aim ? between : bound;
}

static void keep_plan(plan_search_team *team, const uint64_t *offsets) {
    const plan_section *section = team->section;
    uint64_t height = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        if (offsets[i] + section->size[i] > height) height = offsets[i] + section->size[i];
    }
    pthread_mutex_lock(&team->lock);
    if (height < atomic_load(&team->height)) {
        memcpy(team->offsets, offsets, section->count * sizeof *offsets);
        atomic_store(&team->height, height);
    }
    pthread_mutex_unlock(&team->lock);
}

/* All has been tried for the height `target`, which another section or a capacity may have set: no plan is lower than the next multiple
 * of the grain. */
static void keep_bound(plan_search_team *team, uint64_t target, bool is_proof) {
    pthread_mutex_lock(&team->lock);
    uint64_t bound = target - target % team->grain + team->grain;
    if (bound > atomic_load(&team->bound)) atomic_store(&team->bound, bound);
    if (is_proof && bound > team->proved) team->proved = bound;
    pthread_mutex_unlock(&team->lock);
}

static void keep_status(plan_search_team *team, tarn_status status) {
    pthread_mutex_lock(&team->lock);
    if (team->status == TARN_OK) team->status = status;
    pthread_mutex_unlock(&team->lock);
    plan_watch_stop(team->options->watch);
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

static tarn_status attempt_all(plan_search_team *team, plan_search_tools *tools) {
    const plan_search_options *options = team->options;
    for (uint64_t i = 0; i < options->attempt_count && !is_done(team); i++) {
        uint64_t attempt = options->first_attempt + i;
        uint64_t target = choose_target(team, attempt);
        plan_search_limit limit = {.fits_first = attempt / ROUND % 2 == 0,
                                   .dead_ends = dead_ends_of(attempt),
                                   .watch = team->options->watch,
                                   .height = &team->height,
                                   .bound = &team->bound};
        plan_search_orders_make(&tools->orders, attempt);
        const uint32_t *order = tools->orders.order;
        plan_search_end end = tools->is_plain ? plan_search_tree_run(&tools->tree, order, target, &limit)
                                              : plan_search_any_run(&tools->any, order, target, &limit);
        if (end == PLAN_SEARCH_FOUND) {
            keep_plan(team, tools->is_plain ? tools->tree.skyline.offset : tools->any.offset);
        } else if (end == PLAN_SEARCH_IMPOSSIBLE || end == PLAN_SEARCH_EXHAUSTED) {
            keep_bound(team, target, end == PLAN_SEARCH_IMPOSSIBLE);
        } else if (end == PLAN_SEARCH_NO_MEMORY) {
            return base_fail(TARN_OUT_OF_MEMORY, "planning %u buffers: no host memory for the search",
                             team->section->count);
        }
    }
    return TARN_OK;
}

static void *work(void *context) {
    plan_search_worker *worker = context;
    plan_search_team *team = worker->team;
    plan_search_tools tools;
    tarn_status status = tools_begin(&tools, team->section, team->options->seed ^ (uint64_t)worker->number << 32);
    if (status == TARN_OK) {
        status = attempt_all(team, &tools);
        tools_end(&tools);
    }
    if (status != TARN_OK) keep_status(team, status);
    return NULL;
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
    plan_search_team team = {.section = section, .options = options, .offsets = offsets};
    atomic_init(&team.height, *height);
    atomic_init(&team.bound, *bound);
    team.grain = grain_of(section);
    team.proved = *bound;
    plan_search_worker workers[MOST_THREADS];
    unsigned count = 1;
    pthread_mutex_init(&team.lock, NULL);
    workers[0] = (plan_search_worker){.team = &team};
    while (count < options->threads && count < MOST_THREADS) {
        workers[count] = (plan_search_worker){.team = &team, .number = count};
        if (base_thread_start(&workers[count].thread, "tarn-plan", work, &workers[count]) != TARN_OK) break;
        count++;
    }
    work(&workers[0]);
    for (unsigned i = 1; i < count; i++) pthread_join(workers[i].thread, NULL);
    pthread_mutex_destroy(&team.lock);
    *height = atomic_load(&team.height);
    *bound = team.proved;
    *out_is_over = *height <= options->enough || *height <= atomic_load(&team.bound);
    return team.status;
}
