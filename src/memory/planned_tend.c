/* Plans come and go here; see planned_tend.h.
 *
 * A new plan takes the place of the one before, which goes on the list of older ones until nothing of it is live. The old memory and
 * what is cached below go back before the new memory is taken, so that what was needed for learning and what the plan needs are not
 * there together. */
#include "memory/planned_tend.h"

#include "base/log.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/planned_memory.h"
#include "memory/planned_plan.h"
#include "memory/planned_serve.h"

/* Rounds that are learnt at most before one is planned that was not like the one before. */
enum { MOST_LEARNT = 3 };

/* Gives the detached memory of an older plan back, and the plan itself up; one whose memory cannot go yet goes on the list again. */
static tarn_status give_older(planned *self, planned_plan *plan, bool in_any_case, size_t *inout_bytes) {
    tarn_status status = planned_memory_give(self, plan, in_any_case, inout_bytes);
    bool has_pieces = false;
    for (uint32_t i = 0; i < plan->region_count; i++) has_pieces = has_pieces || plan->regions[i].piece != NULL;
    if (!has_pieces) {
        planned_plan_destroy(plan);
        return status;
    }
    biased_way way = biased_lock_take(&self->lock);
    plan->older = self->older;
    self->older = plan;
    biased_lock_leave(&self->lock, way);
    return status;
}

/* The same for all older plans that nothing live lies in. The caller tends. */
static tarn_status give_all_older(planned *self, bool in_any_case, size_t *inout_bytes) {
    tarn_status first = TARN_OK;
    planned_plan *going = NULL;
    biased_way way = biased_lock_take(&self->lock);
    for (planned_plan **link = &self->older; *link != NULL;) {
        planned_plan *plan = *link;
        if (plan->live != 0) {
            link = &plan->older;
            continue;
        }
        *link = plan->older;
        planned_memory_detach(self, plan);
        plan->older = going;
        going = plan;
    }
    biased_lock_leave(&self->lock, way);
    while (going != NULL) {
        planned_plan *plan = going;
        going = plan->older;
        tarn_status status = give_older(self, plan, in_any_case, inout_bytes);
        if (first == TARN_OK) first = status;
    }
    return first;
}

static void end_tending(planned *self) {
    biased_way way = biased_lock_take(&self->lock);
    self->is_tended = false;
    biased_lock_leave(&self->lock, way);
}

tarn_status planned_tend_give(planned *self, size_t *inout_bytes) {
    biased_way way = biased_lock_take(&self->lock);
    planned_plan *plan = self->plan;
    bool is_mine = !self->is_tended;
    self->is_tended = true;
    bool goes = is_mine && plan != NULL && plan->live == 0;
    if (goes) planned_memory_detach(self, plan);
    biased_lock_leave(&self->lock, way);
    if (!is_mine) return TARN_OK;
    tarn_status status = goes ? planned_memory_give(self, plan, false, inout_bytes) : TARN_OK;
    tarn_status older = give_all_older(self, false, inout_bytes);
    end_tending(self);
    return status != TARN_OK ? status : older;
}

/* Takes memory for the plan that is served from. The caller tends. */
static tarn_status take_memory(planned *self, planned_plan *plan) {
    tarn_status status = planned_memory_take(self, plan);
    biased_way way = biased_lock_take(&self->lock);
    if (status == TARN_OK) {
        planned_memory_attach(plan);
        /* A round that another thread ended meanwhile found the plan without memory. What has places from now on may not be touched by
         * attaching again. */
        self->wants_memory = false;
    } else {
        self->counts.failed_plans++;
    }
    biased_lock_leave(&self->lock, way);
    return status;
}

/* Puts a new plan, or none, in the place of the one before. */
static void replace_plan(planned *self, planned_plan *plan) {
    biased_way way = biased_lock_take(&self->lock);
    planned_plan *old = self->plan;
    if (old != NULL) {
        old->older = self->older;
        self->older = old;
    }
    self->plan = plan;
    self->wants_memory = self->wants_empty_cache = false;
    if (plan != NULL) {
        self->is_learning = false;
        planned_log_clear(&self->log);
        self->counts.plans++;
    }
    biased_lock_leave(&self->lock, way);
}

/* The first request of the round was served before the plan was there. */
static void pass_first(planned_plan *plan) {
    while ((plan->slots[plan->next] & PLANNED_FREES) != 0) plan->next++;
    plan->entries[plan->slots[plan->next++] >> 1].served = plan->round;
    plan->asked = plan->served = 1;
}

/* Plans the round, which ends here. The caller tends. */
static tarn_status plan_round(planned *self, planned_round *round, bool has_begun) {
    planned_plan *plan;
    size_t bytes = 0;
    tarn_status status = planned_plan_create(self, round, &plan);
    planned_round_end(round);
    if (status != TARN_OK) {
        biased_way way = biased_lock_take(&self->lock);
        self->counts.failed_plans++;
        biased_lock_leave(&self->lock, way);
        return status;
    }
    if (plan->places == 0) {
        /* Everything outlives its round: there is nothing to plan, and later rounds may be otherwise. */
        planned_plan_destroy(plan);
        return TARN_OK;
    }
    if (has_begun) pass_first(plan);
    replace_plan(self, plan);
    (void)give_all_older(self, false, &bytes);
    (void)memory_empty_cache_below(&self->base);
    return take_memory(self, plan);
}

tarn_status planned_tend_end_round(planned *self, biased_way way) {
    planned_round round = {.requests = NULL};
    bool is_ready = false;
    tarn_status status = TARN_OK;
    bool was_marked = self->is_marked, is_mine = !self->is_tended;
    self->is_marked = true;
    if (self->plan != NULL) planned_serve_end_round(self);
    else self->counts.rounds++;
    if (!was_marked && self->plan != NULL) planned_serve_learn(self); /* its rounds were others */
    if (self->is_learning && is_mine) {
        self->learnt_rounds++;
        self->counts.failed_plans += self->log.is_broken;
        status = planned_log_end_round(&self->log, self->learnt_rounds >= MOST_LEARNT, &is_ready, &round);
        if (status != TARN_OK) self->counts.failed_plans++;
    }
    planned_plan *plan = self->wants_memory ? self->plan : NULL;
    bool empties = self->wants_empty_cache;
    self->wants_memory = false;
    if (is_mine) self->wants_empty_cache = false;
    self->is_tended = true;
    biased_lock_leave(&self->lock, way);
    if (!is_mine) return TARN_OK;
    size_t bytes = 0;
    if (is_ready) status = plan_round(self, &round, false);
    else if (plan != NULL && status == TARN_OK) status = take_memory(self, plan);
    (void)give_all_older(self, false, &bytes);
    if (empties) (void)memory_empty_cache_below(&self->base);
    end_tending(self);
    return status;
}

static bool has_idle_older(const planned *self) {
    for (const planned_plan *plan = self->older; plan != NULL; plan = plan->older)
        if (plan->live == 0) return true;
    return false;
}

void planned_tend(planned *self, biased_way way) {
    planned_round round;
    size_t bytes = 0;
    planned_plan *plan = self->wants_memory ? self->plan : NULL;
    bool is_ready = false, is_mine = !self->is_tended;
    if (is_mine && self->is_learning && !self->is_marked) is_ready = planned_log_find_period(&self->log, &round);
    bool empties = self->wants_empty_cache;
    is_mine = is_mine && (is_ready || plan != NULL || empties || has_idle_older(self));
    if (is_mine) {
        self->wants_memory = self->wants_empty_cache = false;
        self->is_tended = true;
    }
    biased_lock_leave(&self->lock, way);
    if (!is_mine) return;
    tarn_status status = TARN_OK;
    if (is_ready) status = plan_round(self, &round, true);
    else if (plan != NULL) status = take_memory(self, plan);
    (void)give_all_older(self, false, &bytes);
    if (empties) (void)memory_empty_cache_below(&self->base);
    end_tending(self);
    if (status != TARN_OK) {
        base_log(TARN_LOG_INFO, "%s: planned: there is no plan, or no memory for it: %s",
                 tarn_device_name(self->base.device), tarn_last_error());
    }
}

void planned_tend_end(planned *self) {
    size_t bytes = 0;
    replace_plan(self, NULL);
    if (give_all_older(self, true, &bytes) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: the memory of a plan could not be given back at once: %s",
                 tarn_device_name(self->base.device), tarn_last_error());
    }
}
