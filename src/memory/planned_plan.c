/* Laying out one round; see planned_plan.h and the picture in planned_types.h.
 *
 * Time is the order of events in the round. What was allocated and freed in it lives from the one to the other. What outlives it is
 * judged by the round before, where that was alike: if its forerunner there was freed in this round, before the request came again,
 * then so will it be in the next one. It lives around the end of the round, which is a gap in between for the planner. */
#include "memory/planned_plan.h"

#include <string.h>

#include <tarn/plan.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

#define NO_SLOT UINT32_MAX

/* What is needed while a plan is made. */
typedef struct planned_draft {
    planned *owner;
    const planned_round *round;
    planned_plan *plan;
    uint32_t *events; /* of the round: what happens there, as in a slot, or NO_SLOT */
    size_t event_count;
    uint32_t *placed; /* the entries that the planner is given */
    tarn_plan_buffer *buffers;
    tarn_plan_gap *gaps;
    uint64_t *offsets;
    size_t placed_count;
} planned_draft;

/* The event of the round at which the request's buffer is freed; NO_SLOT: it is to be kept below. */
static uint32_t end_of(const planned_round *round, size_t i) {
    uint64_t died = round->requests[i].died, born = round->requests[i].born;
    if (died != PLANNED_ALIVE) return (uint32_t)(died - round->begin);
    uint64_t before = round->previous != NULL ? round->previous[i].died : PLANNED_ALIVE;
    bool comes_round = before != PLANNED_ALIVE && before >= round->begin && before < born;
    return comes_round ? (uint32_t)(before - round->begin) : NO_SLOT;
}

/* The region of a stream. There is room for one more. */
static uint32_t region_of(planned_plan *plan, uint32_t stream) {
    uint32_t i = 0;
    while (i < plan->region_count && plan->regions[i].stream != stream) i++;
    if (i == plan->region_count) plan->regions[plan->region_count++].stream = stream;
    return i;
}

static bool allocate_draft(planned_draft *draft) {
    planned_plan *plan = draft->plan;
    size_t count = draft->round->count;
    draft->event_count = (size_t)(draft->round->end - draft->round->begin);
    draft->events = base_allocate(draft->event_count, sizeof *draft->events);
    draft->placed = base_allocate(count, sizeof *draft->placed);
    draft->buffers = base_allocate(count, sizeof *draft->buffers);
    draft->gaps = base_allocate(count, sizeof *draft->gaps);
    draft->offsets = base_allocate(count, sizeof *draft->offsets);
    plan->entries = base_allocate(count + 1, sizeof *plan->entries);
    plan->slots = base_allocate(2 * count + 1, sizeof *plan->slots);
    /* As many as there may be: streams are few, and few requests are unlike all others. */
    plan->regions = base_allocate(count, sizeof *plan->regions);
    plan->kinds = base_allocate(count, sizeof *plan->kinds);
    plan->kind_entries = base_allocate(count, sizeof *plan->kind_entries);
    plan->kind_table_count = 4;
    while (plan->kind_table_count < 2 * count) plan->kind_table_count *= 2;
    plan->kind_table = base_allocate(plan->kind_table_count, sizeof *plan->kind_table);
    return draft->events != NULL && draft->placed != NULL && draft->buffers != NULL && draft->gaps != NULL &&
           draft->offsets != NULL && plan->entries != NULL && plan->slots != NULL && plan->regions != NULL &&
           plan->kinds != NULL && plan->kind_entries != NULL && plan->kind_table != NULL;
}

static void free_draft(planned_draft *draft) {
    base_free(draft->events);
    base_free(draft->placed);
    base_free(draft->buffers);
    base_free(draft->gaps);
    base_free(draft->offsets);
}

/* Entries for all requests, and a buffer for each that gets a place. False when there is no host memory for descriptors. */
static bool fill_entries(planned_draft *draft) {
    planned_plan *plan = draft->plan;
    for (size_t i = 0; i < draft->event_count; i++) draft->events[i] = NO_SLOT;
    for (size_t i = 0; i < draft->round->count; i++) {
        const planned_request *request = &draft->round->requests[i];
        planned_entry *entry = &plan->entries[plan->count++];
        uint32_t begin = (uint32_t)(request->born - draft->round->begin), end = end_of(draft->round, i);
        entry->plan = plan;
        entry->size = request->size;
        entry->alignment = request->alignment;
        entry->stream = request->stream;
        entry->region = region_of(plan, request->stream);
        draft->events[begin] = (uint32_t)i << 1;
        if (end == NO_SLOT) continue;
        entry->block = block_create();
        if (entry->block == NULL) return false;
        entry->block->owner = &draft->owner->base;
        entry->block->home = entry;
        entry->block->stream = entry->stream;
        entry->block->capacity = entry->size;
        draft->events[end] = (uint32_t)i << 1 | PLANNED_FREES;
        size_t k = draft->placed_count++;
        bool comes_round = end < begin;
        draft->placed[k] = (uint32_t)i;
        draft->gaps[k] = (tarn_plan_gap){.lower = end, .upper = begin};
        draft->buffers[k] = (tarn_plan_buffer){
            .lower = comes_round ? 0 : begin,
            .upper = comes_round ? (int64_t)draft->event_count : end,
            .size = entry->size,
            .alignment = entry->alignment,
            .fixed_offset = TARN_PLAN_ANYWHERE,
            .region = entry->region,
            .gap_count = comes_round ? 1 : 0,
            .gaps = comes_round ? &draft->gaps[k] : NULL,
        };
        /* Freed first of all: no gap, which would begin where the buffer does. */
        if (comes_round && end == 0) {
            draft->buffers[k].lower = begin;
            draft->buffers[k].gap_count = 0;
            draft->buffers[k].gaps = NULL;
        }
    }
    return true;
}

/* The slots are the events that matter: frees of buffers from elsewhere are left out. */
static void fill_slots(planned_draft *draft) {
    planned_plan *plan = draft->plan;
    for (size_t i = 0; i < draft->event_count; i++) {
        uint32_t event = draft->events[i];
        if (event == NO_SLOT) continue;
        planned_entry *entry = &plan->entries[event >> 1];
        if ((event & PLANNED_FREES) != 0) entry->end = plan->length;
        else entry->begin = plan->length;
        plan->slots[plan->length++] = event;
    }
    plan->slots[plan->length] = plan->count << 1;
}

static size_t hash(size_t size, size_t alignment, uint32_t stream) {
    uint64_t mixed =
        ((uint64_t)size ^ (uint64_t)stream << 48 ^ (uint64_t)alignment << 40) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 20);
}

static bool is_of_kind(const planned_plan *plan, const planned_kind *kind, size_t size, size_t alignment,
                       uint32_t stream) {
    const planned_entry *entry = &plan->entries[kind->entries[0]];
    return entry->size == size && entry->stream == stream && entry->alignment == alignment;
}

planned_kind *planned_plan_kind(const planned_plan *plan, size_t size, size_t alignment, uint32_t stream) {
    size_t mask = plan->kind_table_count - 1, place = hash(size, alignment, stream) & mask;
    for (; plan->kind_table[place] != 0; place = (place + 1) & mask) {
        planned_kind *kind = &plan->kinds[plan->kind_table[place] - 1];
        if (is_of_kind(plan, kind, size, alignment, stream)) return kind;
    }
    return NULL;
}

/* Sorts the entries by kind: counts, then deals the list of entries out, then fills. */
static void fill_kinds(planned_plan *plan) {
    size_t mask = plan->kind_table_count - 1;
    for (uint32_t i = 0; i < plan->count; i++) {
        planned_entry *entry = &plan->entries[i];
        planned_kind *kind = planned_plan_kind(plan, entry->size, entry->alignment, entry->stream);
        if (kind == NULL) {
            size_t place = hash(entry->size, entry->alignment, entry->stream) & mask;
            while (plan->kind_table[place] != 0) place = (place + 1) & mask;
            kind = &plan->kinds[plan->kind_count++];
            plan->kind_entries[i] = i;
            kind->entries = &plan->kind_entries[i]; /* for comparing, until all are counted */
            plan->kind_table[place] = plan->kind_count;
        }
        entry->kind = (uint32_t)(kind - plan->kinds);
        kind->count++;
    }
    uint32_t dealt = 0;
    for (uint32_t i = 0; i < plan->kind_count; i++) {
        plan->kinds[i].entries = &plan->kind_entries[dealt];
        dealt += plan->kinds[i].count;
        plan->kinds[i].count = 0;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        planned_kind *kind = &plan->kinds[plan->entries[i].kind];
        kind->entries[kind->count++] = i;
    }
}

static tarn_status solve(planned_draft *draft) {
    planned_plan *plan = draft->plan;
    tarn_plan_options options = {
        .struct_size = sizeof options,
        .threads = 1,
        .timeout_seconds = draft->owner->timeout != 0 ? (double)draft->owner->timeout / 1000 : -1,
    };
    tarn_plan_result result = {.struct_size = sizeof result};
    tarn_status status = tarn_plan_solve(draft->buffers, draft->placed_count, &options, draft->offsets, &result);
    if (status != TARN_OK) return status;
    plan->bytes = result.height;
    plan->lower_bound = result.lower_bound;
    plan->places = (uint32_t)draft->placed_count;
    for (size_t k = 0; k < draft->placed_count; k++) {
        planned_entry *entry = &plan->entries[draft->placed[k]];
        planned_region *region = &plan->regions[entry->region];
        entry->offset = (size_t)draft->offsets[k];
        if (entry->offset + entry->size > region->size) region->size = entry->offset + entry->size;
        if (entry->alignment > region->alignment) region->alignment = entry->alignment;
    }
    return TARN_OK;
}

tarn_status planned_plan_create(planned *self, const planned_round *round, planned_plan **out_plan) {
    planned_draft draft = {.owner = self, .round = round, .plan = base_allocate(1, sizeof *draft.plan)};
    tarn_status status = TARN_OK;
    if (draft.plan == NULL || !allocate_draft(&draft) || !fill_entries(&draft)) {
        status = base_fail(TARN_OUT_OF_MEMORY, "planned: no host memory to plan %zu requests", round->count);
    }
    if (status == TARN_OK) {
        draft.plan->round = 1;
        fill_slots(&draft);
        fill_kinds(draft.plan);
        status = solve(&draft);
    }
    free_draft(&draft);
    if (status != TARN_OK) {
        planned_plan_destroy(draft.plan);
        return status;
    }
    *out_plan = draft.plan;
    return TARN_OK;
}

void planned_plan_destroy(planned_plan *plan) {
    if (plan == NULL) return;
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->entries[i].block != NULL) block_destroy(plan->entries[i].block);
    for (uint32_t i = 0; i < plan->region_count; i++) direct_uses_free(plan->regions[i].uses);
    base_free(plan->entries);
    base_free(plan->slots);
    base_free(plan->regions);
    base_free(plan->kinds);
    base_free(plan->kind_entries);
    base_free(plan->kind_table);
    base_free(plan);
}
