/* Finding a request's entry when it is not simply the next one; see planned_serve.h.
 *
 * The candidate is the first request of the same size, alignment and stream that was not served in this round. Ahead of the
 * plan by a little, it says that what lies between is missing, or comes later: the plan moves on. Far ahead it is taken for an extra
 * request, unless several requests in a row were none of the plan's: then the program has skipped a part. Behind, it comes late, and
 * may still have its place as long as that is due. */
#include "memory/planned_serve.h"

#include "memory/planned_memory.h"
#include "memory/planned_plan.h"

enum {
    NEAR = 64,      /* slots */
    ASTRAY = 8,     /* deviations in a row that show that a part was skipped */
    TOLERATED = 64, /* one deviation in so many requests */
    MOST_PATIENCE = 1024
};

/* Moves on to that slot: what should have been freed on the way, and was not, is busy from now on. */
static void move_to(planned_plan *plan, uint32_t slot) {
    for (; plan->next < slot; plan->next++) {
        uint32_t passed = plan->slots[plan->next];
        planned_entry *entry = &plan->entries[passed >> 1];
        if ((passed & PLANNED_FREES) != 0 && entry->state != PLANNED_IDLE) planned_memory_set_busy(entry);
    }
}

void planned_serve_learn(planned *self) {
    self->is_learning = true;
    self->learnt_rounds = 0;
    self->bad_rounds = 0;
    planned_log_clear(&self->log);
}

/* A round is judged by what deviated and what did not come. */
static void judge_round(planned *self, planned_plan *plan) {
    uint32_t missing = plan->count - plan->served;
    self->counts.rounds++;
    self->counts.missing += missing;
    if (((uint64_t)plan->deviations + missing) * TOLERATED <= plan->count) {
        self->bad_rounds = 0;
        if (self->patience > 1) self->patience--;
        /* What was live when the plan was made lay in the memory below, and has been freed since. */
        self->wants_empty_cache = self->wants_empty_cache || !plan->is_proven;
        plan->is_proven = true;
        return;
    }
    if (self->is_learning || ++self->bad_rounds < self->patience) return;
    if (self->patience < MOST_PATIENCE) self->patience *= 2;
    planned_serve_learn(self);
}

void planned_serve_end_round(planned *self) {
    planned_plan *plan = self->plan;
    judge_round(self, plan);
    move_to(plan, plan->length);
    if (plan->waiting != NULL) planned_memory_poll(self, plan);
    plan->next = 0;
    plan->round++;
    plan->asked = plan->deviations = plan->in_a_row = plan->served = 0;
    self->wants_memory = !plan->has_memory;
}

/* The first entry of the kind that may be served in this round; NULL: there is none. */
static planned_entry *candidate_of(const planned_plan *plan, planned_kind *kind) {
    if (kind->round != plan->round) {
        kind->round = plan->round;
        kind->next = 0;
    }
    for (; kind->next < kind->count; kind->next++) {
        planned_entry *entry = &plan->entries[kind->entries[kind->next]];
        if (entry->served == plan->round) continue;
        bool is_ahead = entry->begin >= plan->next;
        bool comes_round = entry->block != NULL && entry->end < entry->begin;
        if (is_ahead || entry->block == NULL || comes_round || entry->end >= plan->next) return entry;
    }
    return NULL;
}

/* The request's entry, to which the plan has moved on; NULL: it is not expected. */
static planned_entry *find_entry(planned_plan *plan, planned_kind *kind) {
    planned_entry *entry = candidate_of(plan, kind);
    if (entry == NULL) return NULL;
    if (entry->begin < plan->next) return entry;
    if (entry->begin - plan->next > NEAR && plan->in_a_row < ASTRAY) return NULL;
    move_to(plan, entry->begin + 1);
    return entry;
}

/* Whether the round has ended without anybody saying so: a request that comes again stands at the plan's end, or there have been too many. */
static bool has_ended(const planned *self, bool is_known, bool is_expected) {
    const planned_plan *plan = self->plan;
    if (self->is_marked) return false;
    if (plan->asked > plan->count + plan->count / 2) return true;
    return is_known && !is_expected && (plan->length - plan->next <= NEAR || plan->in_a_row >= ASTRAY);
}

planned_answer planned_serve(planned *self, size_t size, size_t alignment, uint32_t stream, planned_entry **out_entry) {
    planned_plan *plan = self->plan;
    planned_kind *kind = planned_plan_kind(plan, size, alignment, stream);
    planned_entry *entry = kind != NULL ? find_entry(plan, kind) : NULL;
    plan->asked++;
    if (has_ended(self, kind != NULL, entry != NULL)) {
        planned_serve_end_round(self);
        entry = kind != NULL ? find_entry(plan, kind) : NULL;
        plan->asked = 1;
    }
    if (entry == NULL) {
        plan->deviations++;
        plan->in_a_row++;
        return PLANNED_DEVIATION;
    }
    entry->served = plan->round;
    plan->served++;
    plan->in_a_row = 0;
    *out_entry = entry;
    if (entry->block == NULL) return PLANNED_KEPT;
    if (plan->waiting != NULL && plan->has_memory && !planned_is_free(plan, entry)) planned_memory_poll(self, plan);
    if (!plan->has_memory || !planned_is_free(plan, entry)) {
        plan->deviations++;
        return PLANNED_DEVIATION;
    }
    planned_take_place(plan, entry);
    return PLANNED_SERVED;
}

planned_entry *planned_serve_again(planned *self, size_t size, size_t alignment, uint32_t stream) {
    planned_plan *plan = self->plan;
    bool is_whole = plan->served == plan->count && plan->deviations == 0 && plan->waiting == NULL;
    if (!is_whole || !plan->is_proven || self->is_marked || !plan->has_memory) return NULL;
    uint32_t slot = 0;
    while ((plan->slots[slot] & PLANNED_FREES) != 0) slot++;
    const planned_entry *first = &plan->entries[plan->slots[slot] >> 1];
    if (first->size != size || first->alignment != alignment || first->stream != stream) return NULL;
    planned_serve_end_round(self);
    return planned_serve_next(plan, size, alignment, stream);
}
