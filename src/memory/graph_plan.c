/* Noting what a capture asks for, laying it out, and finding a request in the plan; see graph_plan.h. */
#include "memory/graph_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/layout.h"

enum {
    LEAST_ROOM = 64,
    NEAR = 64 /* how many places ahead of the expected one, and behind it, a request is looked for */
};

/* The search for one layout takes no longer: seconds. */
#define PLAN_SECONDS 0.1

/* Noting. */

static bool has_note_room(graph_notes *notes) {
    if (notes->count < notes->room) return true;
    if (notes->room >= GRAPH_MOST_NOTES) return false;
    size_t room = notes->room == 0 ? LEAST_ROOM : 2 * notes->room;
    graph_note *items = base_reallocate(notes->items, room, sizeof *items);
    if (items == NULL) return false;
    notes->items = items;
    notes->room = room;
    return true;
}

static bool has_clock_room(graph_notes *notes, size_t width) {
    if (notes->clock_room - notes->clock_count >= width) return true;
    size_t room = 2 * notes->clock_room + LEAST_ROOM;
    uint32_t *clocks = base_reallocate(notes->clocks, room, sizeof *clocks);
    if (clocks == NULL) return false;
    notes->clocks = clocks;
    notes->clock_room = room;
    return true;
}

uint32_t graph_notes_add(graph_notes *notes, const base_range *range, size_t alignment, uint32_t stream,
                         const hal_clock *clock, unsigned width) {
    if (notes->is_broken || !has_note_room(notes) || !has_clock_room(notes, width)) {
        notes->is_broken = true;
        return GRAPH_NO_NOTE;
    }
    graph_note *note = &notes->items[notes->count];
    *note = (graph_note){.size = range->size,
                         .alignment = alignment,
                         .address = range->start,
                         .stream = stream,
                         .born = notes->events++,
                         .died = GRAPH_ALIVE,
                         .width = width,
                         .clock = notes->clock_count};
    memcpy(notes->clocks + notes->clock_count, clock->at, width * sizeof *notes->clocks);
    notes->clock_count += width;
    if (stream >= notes->streams) notes->streams = stream + 1;
    notes->has_forks = notes->has_forks || width > 1;
    notes->live += range->size;
    if (notes->live > notes->peak) notes->peak = notes->live;
    return (uint32_t)notes->count++;
}

void graph_notes_remove(graph_notes *notes, uint32_t number, const hal_capture_point *point) {
    graph_note *note = &notes->items[number];
    note->died = notes->events++;
    note->freed_stream = point->stream;
    note->freed_clock = point->clock;
    notes->live -= note->size;
}

bool graph_notes_are_alike(const graph_notes *a, const graph_notes *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const graph_note *one = &a->items[i], *other = &b->items[i];
        if (one->size != other->size || one->alignment != other->alignment || one->stream != other->stream ||
            one->born != other->born || one->died != other->died) {
            return false;
        }
    }
    return true;
}

void graph_notes_end(graph_notes *notes) {
    base_free(notes->items);
    base_free(notes->clocks);
    *notes = (graph_notes){.items = NULL};
}

/* Laying out. */

typedef struct draft {
    const graph_notes *notes;
    graph_plan *plan;
    size_t *by_stream;                      /* numbers of the notes, those of each stream in a row and in their order */
    size_t begins[HAL_CAPTURE_STREAMS + 1]; /* where those of a stream begin */
    memory_lifetime *lifetimes;
} draft;

/* How much of the stream's work came before the request. */
static uint32_t passed(const graph_notes *notes, size_t number, uint32_t stream) {
    const graph_note *note = &notes->items[number];
    return stream < note->width ? notes->clocks[note->clock + stream] : 0;
}

/* The first event after which every request of the stream comes after the free of the buffer. A stream's clock only rises, so
 * that its requests before the free has passed are those up to a certain one. */
static uint32_t end_for(const draft *self, const graph_note *note, uint32_t stream) {
    size_t low = self->begins[stream], high = self->begins[stream + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (passed(self->notes, self->by_stream[middle], note->freed_stream) < note->freed_clock) low = middle + 1;
        else high = middle;
    }
    if (low == self->begins[stream]) return note->died;
    uint32_t last = self->notes->items[self->by_stream[low - 1]].born;
    return last > note->died ? last + 1 : note->died;
}

static void fill_by_stream(draft *self) {
    const graph_notes *notes = self->notes;
    size_t next[HAL_CAPTURE_STREAMS];
    for (size_t i = 0; i < notes->count; i++) self->begins[notes->items[i].stream + 1]++;
    for (uint32_t stream = 0; stream < notes->streams; stream++) {
        self->begins[stream + 1] += self->begins[stream];
        next[stream] = self->begins[stream];
    }
    for (size_t i = 0; i < notes->count; i++) self->by_stream[next[notes->items[i].stream]++] = i;
}

static memory_lifetime lifetime_of(const draft *self, const graph_note *note, uint32_t first_stream,
                                   uint32_t last_stream) {
    uint32_t end = note->died;
    for (uint32_t stream = first_stream; stream <= last_stream && note->died != GRAPH_ALIVE; stream++) {
        uint32_t end_there = end_for(self, note, stream);
        if (end_there > end) end = end_there;
    }
    return (memory_lifetime){.begin = note->born,
                             .end = note->died != GRAPH_ALIVE ? end : self->notes->events,
                             .size = note->size,
                             .alignment = note->alignment};
}

/* Lays out the buffers of some streams behind what is in the plan, which have that memory in common. */
static tarn_status add_streams(draft *self, uint32_t first_stream, uint32_t last_stream, double seconds) {
    size_t begin = self->begins[first_stream], count = self->begins[last_stream + 1] - begin;
    graph_plan *plan = self->plan;
    memory_layout *layout;
    for (size_t i = 0; i < count; i++) {
        const graph_note *note = &self->notes->items[self->by_stream[begin + i]];
        self->lifetimes[i] = lifetime_of(self, note, first_stream, last_stream);
    }
    tarn_status status = memory_layout_create(self->lifetimes, count, seconds, &layout);
    if (status != TARN_OK) return status;
    size_t base = round_up(plan->size, layout->alignment);
    for (size_t i = 0; i < count; i++)
        plan->places[self->by_stream[begin + i]].offset = base + (size_t)layout->offsets[i];
    plan->size = base + layout->size;
    if (layout->alignment > plan->alignment) plan->alignment = layout->alignment;
    memory_layout_destroy(layout);
    return TARN_OK;
}

static tarn_status refuse(const graph_notes *notes) {
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory to plan %zu requests of a capture", notes->count);
}

static graph_plan *create_empty(const graph_notes *notes) {
    graph_plan *plan = base_allocate(1, sizeof *plan + notes->count * sizeof *plan->places);
    if (plan == NULL) return NULL;
    plan->count = notes->count;
    plan->alignment = 1;
    plan->has_forks = notes->has_forks;
    for (size_t i = 0; i < notes->count; i++) {
        const graph_note *note = &notes->items[i];
        plan->places[i] = (graph_place){.size = note->size, .alignment = note->alignment, .stream = note->stream};
    }
    return plan;
}

/* Each function lays all buffers out in the draft's plan, which is empty before. */

static tarn_status lay_out_together(draft *self) {
    return add_streams(self, 0, self->notes->streams - 1, PLAN_SECONDS);
}

static tarn_status lay_out_by_streams(draft *self) {
    tarn_status status = TARN_OK;
    for (uint32_t stream = 0; stream < self->notes->streams && status == TARN_OK; stream++)
        status = add_streams(self, stream, stream, PLAN_SECONDS / self->notes->streams);
    return status;
}

/* Where a buffer was found to lie. */
typedef struct found_buffer {
    uintptr_t address;
    size_t number;
} found_buffer;

static int compare_found(const void *a, const void *b) {
    const found_buffer *one = a, *other = b;
    return (one->address > other->address) - (one->address < other->address);
}

/* As the buffers lay, but that what nobody used between them is left out. */
static tarn_status lay_out_as_found(draft *self) {
    const graph_notes *notes = self->notes;
    graph_plan *plan = self->plan;
    found_buffer *items = base_allocate(notes->count, sizeof *items);
    if (items == NULL) return refuse(notes);
    for (size_t i = 0; i < notes->count; i++) {
        items[i] = (found_buffer){.address = notes->items[i].address, .number = i};
        if (notes->items[i].alignment > plan->alignment) plan->alignment = notes->items[i].alignment;
    }
    qsort(items, notes->count, sizeof *items, compare_found);
    /* Between them are addresses of which each byte is used: its buffers keep their distances, and so their alignments. */
    uintptr_t run = 0, end = 0;
    size_t base = 0;
    for (size_t i = 0; i < notes->count; i++) {
        uintptr_t address = items[i].address, behind = address + notes->items[items[i].number].size;
        if (i == 0 || address > end) {
            run = address;
            base = plan->size + ((size_t)(run - plan->size) & (plan->alignment - 1));
        }
        if (behind > end) end = behind;
        plan->places[items[i].number].offset = base + (size_t)(address - run);
        plan->size = base + (size_t)(end - run);
    }
    base_free(items);
    return TARN_OK;
}

/* Makes another plan, and keeps it if it is lower. */
static tarn_status try_plan(draft *self, tarn_status (*lay_out)(draft *self), graph_plan **inout_plan) {
    self->plan = create_empty(self->notes);
    tarn_status status = self->plan != NULL ? lay_out(self) : refuse(self->notes);
    bool is_better = status == TARN_OK && (*inout_plan == NULL || self->plan->size < (*inout_plan)->size);
    graph_plan_destroy(is_better ? *inout_plan : self->plan);
    if (is_better) *inout_plan = self->plan;
    return status;
}

tarn_status graph_plan_create(const graph_notes *notes, graph_plan **out_plan) {
    draft self = {.notes = notes};
    graph_plan *plan = NULL;
    self.by_stream = base_allocate(notes->count, sizeof *self.by_stream);
    self.lifetimes = base_allocate(notes->count, sizeof *self.lifetimes);
    tarn_status status = TARN_OK;
    if (self.by_stream == NULL || self.lifetimes == NULL) {
        status = refuse(notes);
    } else {
        fill_by_stream(&self);
        status = try_plan(&self, lay_out_together, &plan);
    }
    if (status == TARN_OK && notes->streams > 1) status = try_plan(&self, lay_out_by_streams, &plan);
    if (status == TARN_OK) status = try_plan(&self, lay_out_as_found, &plan);
    base_free(self.by_stream);
    base_free(self.lifetimes);
    if (status != TARN_OK) {
        graph_plan_destroy(plan);
        return status;
    }
    *out_plan = plan;
    return TARN_OK;
}

void graph_plan_destroy(graph_plan *plan) { base_free(plan); }

/* Following. */

void graph_plan_restart(graph_plan *plan) {
    plan->next = plan->first = 0;
    for (size_t i = 0; i < plan->count; i++) plan->places[i].is_served = false;
}

/* The first place in [begin, end) that the request may have; `end` where there is none. */
static size_t find_in(const graph_plan *plan, size_t begin, size_t end, size_t size, size_t alignment,
                      uint32_t stream) {
    size_t i = begin;
    for (; i < end; i++) {
        const graph_place *place = &plan->places[i];
        if (!place->is_served && place->size == size && place->alignment == alignment && place->stream == stream) break;
    }
    return i;
}

const graph_place *graph_plan_find(graph_plan *plan, size_t size, size_t alignment, uint32_t stream) {
    size_t end = plan->count - plan->next > NEAR ? plan->next + NEAR : plan->count;
    size_t found = find_in(plan, plan->next, end, size, alignment, stream);
    if (found == end) {
        found = find_in(plan, plan->first, plan->next, size, alignment, stream);
        if (found == plan->next) return NULL;
    }
    plan->places[found].is_served = true;
    if (found >= plan->next) plan->next = found + 1;
    while (plan->first < plan->next && (plan->places[plan->first].is_served || plan->next - plan->first > NEAR))
        plan->first++;
    return &plan->places[found];
}
