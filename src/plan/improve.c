/* Improvement of large sections. The threads take rounds from one counter, each round has weights of its own, and a round is given up as soon as
 * it cannot become lower than the best plan of all. */
#include "plan/improve.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/thread.h"
#include "plan/load.h"
#include "plan/notches.h"
#include "plan/weights.h"

#define MOST_THREADS 64

/* What the threads share. */
typedef struct plan_improve_team {
    const plan_section *section;
    const plan_improve_options *options;
    uint64_t *load; /* of each slot */
    _Atomic uint64_t next_round, height;
    pthread_mutex_t lock; /* for all below, and for lowering `height` */
    uint64_t *offsets;
    tarn_status status; /* of the first thread that failed */
} plan_improve_team;

/* What one thread works with. */
typedef struct improve_tools {
    plan_notches notches;
    plan_keyed *keyed, *scratch;
    uint64_t *weights, *trial;
} improve_tools;

static void tools_end(improve_tools *tools) {
    plan_notches_end(&tools->notches);
    base_free(tools->keyed);
    base_free(tools->scratch);
    base_free(tools->weights);
    base_free(tools->trial);
}

static tarn_status tools_begin(improve_tools *tools, const plan_section *section) {
    *tools = (improve_tools){0};
    tools->keyed = base_allocate(section->count, sizeof *tools->keyed);
    tools->scratch = base_allocate(section->count, sizeof *tools->scratch);
    tools->weights = base_allocate((size_t)section->slot_count + 1, sizeof *tools->weights);
    tools->trial = base_allocate(section->count, sizeof *tools->trial);
    if (tools->keyed == NULL || tools->scratch == NULL || tools->weights == NULL || tools->trial == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "improving a plan of %" PRIu32 " buffers: no host memory", section->count);
    }
    return plan_notches_begin(&tools->notches, section, tools->keyed, tools->scratch);
}

static void keep_plan(plan_improve_team *team, const uint64_t *offsets, uint64_t height) {
    pthread_mutex_lock(&team->lock);
    if (height < atomic_load(&team->height)) {
        memcpy(team->offsets, offsets, team->section->count * sizeof *offsets);
        atomic_store(&team->height, height);
    }
    pthread_mutex_unlock(&team->lock);
}

static void work(plan_improve_team *team, improve_tools *tools) {
    const plan_improve_options *options = team->options;
    while (atomic_load(&team->height) > options->enough && !plan_watch_is_over(options->watch)) {
        uint64_t round = atomic_fetch_add(&team->next_round, 1), random = round, height;
        if (round - options->first_round >= options->rounds) return;
        bool by_size = plan_weights_by_size(round);
        plan_weights_make(team->section, team->load, round, &random, tools->weights);
        if (plan_notches_fill(&tools->notches, by_size ? NULL : tools->weights, by_size, atomic_load(&team->height) - 1,
                              options->watch, tools->trial, &height)) {
            keep_plan(team, tools->trial, height);
        }
    }
}

static void *run(void *context) {
    plan_improve_team *team = context;
    improve_tools tools;
    tarn_status status = tools_begin(&tools, team->section);
    if (status == TARN_OK) work(team, &tools);
    tools_end(&tools);
    if (status != TARN_OK) {
        pthread_mutex_lock(&team->lock);
        if (team->status == TARN_OK) team->status = status;
        pthread_mutex_unlock(&team->lock);
    }
    return NULL;
}

tarn_status plan_improve(const plan_section *section, const plan_improve_options *options, uint64_t *offsets,
                         uint64_t *height) {
    plan_improve_team team = {.section = section, .options = options, .offsets = offsets};
    atomic_init(&team.next_round, options->first_round);
    atomic_init(&team.height, *height);
    if (*height <= options->enough || plan_watch_is_over(options->watch)) return TARN_OK;
    team.load = base_allocate(section->slot_count, sizeof *team.load);
    if (team.load == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "improving a plan of %" PRIu32 " buffers: no host memory", section->count);
    }
    plan_load(section, team.load);
    pthread_mutex_init(&team.lock, NULL);
    pthread_t threads[MOST_THREADS];
    unsigned started = 0;
    while (started + 1 < options->threads && started < MOST_THREADS &&
           base_thread_start(&threads[started], "tarn-plan", run, &team) == TARN_OK) {
        started++;
    }
    run(&team);
    for (unsigned i = 0; i < started; i++) pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&team.lock);
    base_free(team.load);
    *height = atomic_load(&team.height);
    return team.status;
}
