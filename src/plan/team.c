/* Teams. A thread that fails keeps its status and its sentence here, since the sentence is otherwise known to that thread alone. */
#include "plan/team.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "base/thread.h"

#define MOST_THREADS 64

typedef struct member {
    plan_team *team;
    tarn_status (*work)(void *context, unsigned number);
    void *context;
    unsigned number;
    pthread_t thread;
} member;

void plan_team_begin(plan_team *team, const plan_section *section, uint64_t *offsets, uint64_t height) {
    team->section = section;
    atomic_init(&team->height, height);
    pthread_mutex_init(&team->lock, NULL);
    team->offsets = offsets;
    team->status = TARN_OK;
}

static void *run(void *context) {
    member *self = context;
    plan_team *team = self->team;
    tarn_status status = self->work(self->context, self->number);
    if (status == TARN_OK) return NULL;
    pthread_mutex_lock(&team->lock);
    if (team->status == TARN_OK) {
        team->status = status;
        snprintf(team->sentence, sizeof team->sentence, "%s", tarn_last_error());
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

tarn_status plan_team_work(plan_team *team, unsigned threads, tarn_status (*work)(void *context, unsigned number),
                           void *context) {
    member members[MOST_THREADS];
    unsigned count = 1;
    members[0] = (member){.team = team, .work = work, .context = context};
    while (count < threads && count < MOST_THREADS) {
        members[count] = (member){.team = team, .work = work, .context = context, .number = count};
        if (base_thread_start(&members[count].thread, "tarn-plan", run, &members[count]) != TARN_OK) break;
        count++;
    }
    run(&members[0]);
    for (unsigned i = 1; i < count; i++) pthread_join(members[i].thread, NULL);
    return team->status == TARN_OK ? TARN_OK : base_fail(team->status, "%s", team->sentence);
}

uint64_t plan_team_keep(plan_team *team, const uint64_t *offsets) {
    const plan_section *section = team->section;
    uint64_t height = 0;
    for (uint32_t i = 0; i < section->count; i++)
        if (offsets[i] + section->size[i] > height) height = offsets[i] + section->size[i];
    pthread_mutex_lock(&team->lock);
    if (height < atomic_load(&team->height)) {
        memcpy(team->offsets, offsets, section->count * sizeof *offsets);
        atomic_store(&team->height, height);
    }
    pthread_mutex_unlock(&team->lock);
    return height;
}

uint64_t plan_team_copy(plan_team *team, uint64_t *out_offsets) {
    pthread_mutex_lock(&team->lock);
    uint64_t height = atomic_load(&team->height);
    memcpy(out_offsets, team->offsets, team->section->count * sizeof *out_offsets);
    pthread_mutex_unlock(&team->lock);
    return height;
}

uint64_t plan_team_end(plan_team *team) {
    pthread_mutex_destroy(&team->lock);
    return atomic_load(&team->height);
}
