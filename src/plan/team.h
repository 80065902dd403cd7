/* Threads that look for lower plans of one section together, and share the lowest that one of them found. */
#ifndef PLAN_TEAM_H
#define PLAN_TEAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "plan/problem.h"

typedef struct plan_team {
    const plan_section *section;
    _Atomic uint64_t height; /* of the lowest plan; lowered with the lock held, read without */
    pthread_mutex_t lock;    /* for all below */
    uint64_t *offsets;       /* of that plan */
    tarn_status status;      /* of the first thread that failed */
    char sentence[256];      /* why it did */
} plan_team;

/* A team that begins with the plan in `offsets`, which stay the caller's and become those of the lowest plan. */
void plan_team_begin(plan_team *team, const plan_section *section, uint64_t *offsets, uint64_t height);
/* Calls `work(context, number)` on `threads` threads, the calling one, number 0, among them, and waits for all. Where one cannot be started, fewer
 * work. What the first of them that failed returned, with its sentence. */
tarn_status plan_team_work(plan_team *team, unsigned threads, tarn_status (*work)(void *context, unsigned number),
                           void *context);
/* Keeps a plan if it is lower than the lowest, and returns its height. Any thread of the team. */
uint64_t plan_team_keep(plan_team *team, const uint64_t *offsets);
/* Copies the lowest plan and returns its height. Any thread of the team. */
uint64_t plan_team_copy(plan_team *team, uint64_t *out_offsets);
/* No thread works any more. Returns the height of the lowest plan. */
uint64_t plan_team_end(plan_team *team);

#endif
