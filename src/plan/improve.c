/* Improvement of large sections. The threads take rounds from one counter, each round has weights of its own, and a round is given up as soon as
 * it cannot become lower than the best plan of all. */
#include "plan/improve.h"

#include <inttypes.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/load.h"
#include "plan/notches.h"
#include "plan/team.h"
#include "plan/weights.h"

/* What the threads share. */
typedef struct plan_improve_job {
    plan_team team;
    const plan_improve_options *options;
    uint64_t *load; /* of each slot */
    _Atomic uint64_t next_round;
} plan_improve_job;

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

static void improve(plan_improve_job *job, improve_tools *tools) {
    plan_team *team = &job->team;
    const plan_improve_options *options = job->options;
    while (atomic_load(&team->height) > options->enough && !plan_watch_is_over(options->watch)) {
        uint64_t round = atomic_fetch_add(&job->next_round, 1), random = round, height;
        if (round - options->first_round >= options->rounds) return;
        bool by_size = plan_weights_by_size(round);
        plan_weights_make(team->section, job->load, round, &random, tools->weights);
        if (plan_notches_fill(&tools->notches, by_size ? NULL : tools->weights, by_size, atomic_load(&team->height) - 1,
                              options->watch, tools->trial, &height)) {
            plan_team_keep(team, tools->trial);
        }
    }
}

static tarn_status work(void *context, unsigned number) {
    (void)number;
    plan_improve_job *job = context;
    improve_tools tools;
    tarn_status status = tools_begin(&tools, job->team.section);
    if (status == TARN_OK) improve(job, &tools);
    tools_end(&tools);
    return status;
}

tarn_status plan_improve(const plan_section *section, const plan_improve_options *options, uint64_t *offsets,
                         uint64_t *height) {
    plan_improve_job job = {.options = options};
    atomic_init(&job.next_round, options->first_round);
    if (*height <= options->enough || plan_watch_is_over(options->watch)) return TARN_OK;
    job.load = base_allocate(section->slot_count, sizeof *job.load);
    if (job.load == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "improving a plan of %" PRIu32 " buffers: no host memory", section->count);
    }
    plan_load(section, job.load);
    plan_team_begin(&job.team, section, offsets, *height);
    tarn_status status = plan_team_work(&job.team, options->threads, work, &job);
    *height = plan_team_end(&job.team);
    base_free(job.load);
    return status;
}
