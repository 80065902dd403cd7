/* Segments and pieces of a graph pool; see graph_heap.h. */
#include "memory/graph_heap.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

graph_piece *graph_piece_of_name(base_range *name) {
    return (graph_piece *)(void *)((char *)name - offsetof(graph_piece, name));
}

static uint64_t bit_of(uint32_t slot) { return UINT64_C(1) << slot; }

static unsigned bin_of(size_t size) { return 63u - (unsigned)__builtin_clzll((unsigned long long)size); }

/* Lists of free pieces. */

static graph_list list_kind(const graph_piece *piece) {
    return piece->is_in_plan ? GRAPH_PLANNED : piece->is_in_graph ? GRAPH_CAPTURED : GRAPH_ORDINARY;
}

static graph_piece **list_of(graph_heap *heap, const graph_piece *piece) {
    return &heap->bins[list_kind(piece)][bin_of(piece->range.size)];
}

static void link_piece(graph_heap *heap, graph_piece *piece) {
    graph_piece **list = list_of(heap, piece);
    piece->previous = NULL;
    piece->next = *list;
    if (*list != NULL) (*list)->previous = piece;
    *list = piece;
}

static void unlink_piece(graph_heap *heap, graph_piece *piece) {
    if (piece->previous != NULL) piece->previous->next = piece->next;
    else *list_of(heap, piece) = piece->next;
    if (piece->next != NULL) piece->next->previous = piece->previous;
    piece->previous = piece->next = NULL;
}

/* Who may have what. */

static uint64_t uses_left(const graph_heap *heap, const graph_piece *piece) {
    return graph_streams_left(heap->streams, piece->uses, piece->freed_at);
}

bool graph_piece_is_idle(const graph_heap *heap, const graph_piece *piece) {
    return piece->block == NULL && !piece->is_in_graph && !piece->is_in_plan && uses_left(heap, piece) == 0;
}

static bool may_have(const graph_heap *heap, const graph_asker *asker, const graph_piece *piece) {
    uint64_t left = uses_left(heap, piece);
    if (asker->capture == 0) {
        /* Of the shared slot nobody can say that it is alone. */
        uint64_t own = asker->slot < GRAPH_SHARED_SLOT ? bit_of(asker->slot) : 0;
        return !piece->is_in_graph && (left & ~own) == 0;
    }
    if (left != 0) return false;
    return piece->freed_in.capture != asker->capture || hal_capture_has_passed(asker->stream, &piece->freed_in);
}

/* Bytes before the first place in the piece that is aligned and has room; SIZE_MAX where there is none. */
static size_t gap_before(const graph_piece *piece, size_t size, size_t alignment) {
    size_t gap = round_up(piece->range.start, alignment) - piece->range.start;
    return gap <= piece->range.size && size <= piece->range.size - gap ? gap : SIZE_MAX;
}

/* The tightest piece of the list of its size, else any of the next greater list that has one. */
static graph_piece *find_in(const graph_heap *heap, graph_piece *const *bins, const graph_asker *asker, size_t size,
                            size_t alignment) {
    graph_piece *best = NULL;
    for (unsigned bin = bin_of(size); bin < GRAPH_BINS && best == NULL; bin++) {
        for (graph_piece *piece = bins[bin]; piece != NULL; piece = piece->next) {
            if (best != NULL && piece->range.size >= best->range.size) continue;
            if (gap_before(piece, size, alignment) != SIZE_MAX && may_have(heap, asker, piece)) best = piece;
        }
    }
    return best;
}

static graph_piece *find(const graph_heap *heap, const graph_asker *asker, size_t size, size_t alignment) {
    graph_piece *piece = NULL;
    if (asker->capture != 0) piece = find_in(heap, heap->bins[GRAPH_CAPTURED], asker, size, alignment);
    if (piece == NULL && !asker->is_sharing) piece = find_in(heap, heap->bins[GRAPH_ORDINARY], asker, size, alignment);
    return piece;
}

/* Cutting and merging. */

/* Cuts the piece after `size` bytes; what is known of it is known of `rest`, which follows it and is in no list. */
static void cut(graph_piece *piece, size_t size, graph_piece *rest) {
    *rest = *piece;
    rest->range = (base_range){.start = piece->range.start + size, .size = piece->range.size - size};
    rest->before = piece;
    if (rest->after != NULL) rest->after->before = rest;
    piece->after = rest;
    piece->range.size = size;
}

/* What cutting needs: descriptors for what is left before and behind. */
typedef struct graph_rests {
    graph_piece *before, *behind; /* NULL: nothing is left there */
} graph_rests;

static tarn_status prepare_rests(const graph_heap *heap, bool has_before, bool has_behind, graph_rests *out_rests) {
    graph_rests rests = {.before = has_before ? base_allocate(1, sizeof *rests.before) : NULL,
                         .behind = has_behind ? base_allocate(1, sizeof *rests.behind) : NULL};
    if (has_before == (rests.before != NULL) && has_behind == (rests.behind != NULL)) {
        *out_rests = rests;
        return TARN_OK;
    }
    base_free(rests.before);
    base_free(rests.behind);
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe a buffer", tarn_device_name(heap->device));
}

/* The part of the piece, which is in no list, from `gap` bytes on; what is before goes back to its list. */
static graph_piece *cut_before(graph_heap *heap, graph_piece *piece, size_t gap, const graph_rests *rests) {
    if (rests->before == NULL) return piece;
    cut(piece, gap, rests->before);
    link_piece(heap, piece);
    return rests->before;
}

/* Cuts the piece, which is in no list, to `size` bytes; what is behind goes back to its list. */
static void cut_behind(graph_heap *heap, graph_piece *piece, size_t size, const graph_rests *rests) {
    if (rests->behind == NULL) return;
    cut(piece, size, rests->behind);
    link_piece(heap, rests->behind);
}

tarn_status graph_heap_take(graph_heap *heap, const graph_asker *asker, size_t size, size_t alignment,
                            graph_piece **out_piece) {
    *out_piece = NULL;
    graph_piece *piece = find(heap, asker, size, alignment);
    if (piece == NULL) return TARN_OK;
    size_t gap = gap_before(piece, size, alignment);
    graph_rests rests;
    tarn_status status = prepare_rests(heap, gap > 0, piece->range.size - gap > size, &rests);
    if (status != TARN_OK) return status;
    unlink_piece(heap, piece);
    piece = cut_before(heap, piece, gap, &rests);
    cut_behind(heap, piece, size, &rests);
    *out_piece = piece;
    return TARN_OK;
}

static bool is_same_point(const hal_capture_point *a, const hal_capture_point *b) {
    return a->capture == b->capture && (a->capture == 0 || a->stream == b->stream);
}

/* Whether the same is known of both, but for the time. Merged, they count as freed at the later time; where a plan knows that one
 * stream comes after the earlier one, that would be too late. */
static bool can_merge(const graph_heap *heap, const graph_piece *a, const graph_piece *b) {
    bool is_like = a->block == NULL && b->block == NULL && a->is_in_graph == b->is_in_graph &&
                   a->is_in_plan == b->is_in_plan && a->uses == b->uses && is_same_point(&a->freed_in, &b->freed_in);
    return is_like && (!heap->keeps_points || !a->is_in_plan || a->freed_in.clock == b->freed_in.clock);
}

/* Adds the piece that follows to the one before it. Neither is in a list. */
static void merge(graph_piece *piece, graph_piece *next) {
    piece->range.size += next->range.size;
    piece->after = next->after;
    if (piece->after != NULL) piece->after->before = piece;
    if (next->freed_at > piece->freed_at) piece->freed_at = next->freed_at;
    if (next->freed_in.clock > piece->freed_in.clock) piece->freed_in.clock = next->freed_in.clock;
    base_free(next);
}

static uintptr_t end_of(const graph_piece *piece) { return piece->range.start + piece->range.size; }

/* The piece that the address lies in, free or not; NULL where there is no memory. */
static graph_piece *piece_at(const graph_heap *heap, uintptr_t address) {
    base_range *segment = base_range_containing(heap->segments, address);
    if (segment == NULL) return NULL;
    /* From the last piece in use before it there are none but free ones to pass. */
    base_range *live = base_range_at_or_before(heap->live, address);
    graph_piece *piece =
        live != NULL && live->start >= segment->start ? graph_piece_of(live) : graph_segment_of(segment)->first;
    while (end_of(piece) <= address) piece = piece->after;
    return piece;
}

tarn_status graph_heap_take_at(graph_heap *heap, const graph_asker *asker, uintptr_t address, size_t size,
                               graph_piece **out_piece) {
    *out_piece = NULL;
    graph_piece *first = piece_at(heap, address), *last = first;
    for (;; last = last->after) {
        if (last == NULL || last->block != NULL || !may_have(heap, asker, last)) return TARN_OK;
        if (end_of(last) - address >= size) break;
    }
    graph_rests rests;
    tarn_status status = prepare_rests(heap, first->range.start<address, end_of(last) - address> size, &rests);
    if (status != TARN_OK) return status;
    bool is_one = first == last;
    for (graph_piece *piece = first;; piece = piece->after) {
        unlink_piece(heap, piece);
        if (piece == last) break;
    }
    first = cut_before(heap, first, address - first->range.start, &rests);
    if (is_one) last = first;
    cut_behind(heap, last, address + size - last->range.start, &rests);
    /* The asker may have each of them, so that what is known of one counts for all. */
    while (first != last) {
        if (first->after == last) last = first;
        merge(first, first->after);
    }
    *out_piece = first;
    return TARN_OK;
}

bool graph_heap_has_for_capture(const graph_heap *heap, size_t size) {
    for (int kind = GRAPH_ORDINARY; kind <= GRAPH_CAPTURED; kind++) {
        for (unsigned bin = bin_of(size); bin < GRAPH_BINS; bin++) {
            for (const graph_piece *piece = heap->bins[kind][bin]; piece != NULL; piece = piece->next) {
                if (piece->range.size >= size && uses_left(heap, piece) == 0) return true;
            }
        }
    }
    return false;
}

/* What is not so any more. */
static void refresh(const graph_heap *heap, graph_piece *piece) {
    piece->uses = uses_left(heap, piece);
    if (piece->uses == 0) piece->freed_at = 0;
}

void graph_heap_put(graph_heap *heap, graph_piece *piece) {
    refresh(heap, piece);
    if (piece->after != NULL && can_merge(heap, piece, piece->after)) {
        unlink_piece(heap, piece->after);
        merge(piece, piece->after);
    }
    if (piece->before != NULL && can_merge(heap, piece->before, piece)) {
        graph_piece *before = piece->before;
        unlink_piece(heap, before);
        merge(before, piece);
        piece = before;
    }
    link_piece(heap, piece);
}

static graph_segment *next_segment(const graph_heap *heap, const graph_segment *segment) {
    base_range *next = base_range_after(heap->segments, segment != NULL ? segment->range.start : 0);
    return next != NULL ? graph_segment_of(next) : NULL;
}

void graph_heap_settle(graph_heap *heap, bool ends_graphs) {
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        for (unsigned bin = 0; bin < GRAPH_BINS; bin++) heap->bins[kind][bin] = NULL;
    }
    for (graph_segment *segment = next_segment(heap, NULL); segment != NULL; segment = next_segment(heap, segment)) {
        for (graph_piece *piece = segment->first; piece != NULL; piece = piece->after) {
            if (ends_graphs) {
                piece->is_in_graph = piece->is_of_graph = piece->is_in_ended_capture = false;
                piece->freed_in = (hal_capture_point){.capture = 0};
            }
            if (piece->block == NULL) refresh(heap, piece);
        }
        for (graph_piece *piece = segment->first; piece != NULL; piece = piece->after) {
            if (piece->block != NULL) continue;
            while (piece->after != NULL && can_merge(heap, piece, piece->after)) merge(piece, piece->after);
            link_piece(heap, piece);
        }
    }
}

static bool leave_plan(void *context, graph_piece *piece) {
    (void)context;
    piece->is_in_plan = false;
    return false;
}

void graph_heap_end_plan(graph_heap *heap) {
    (void)graph_heap_each(heap, leave_plan, NULL);
    graph_heap_settle(heap, false);
}

size_t graph_heap_largest(const graph_heap *heap) {
    size_t largest = 0;
    for (unsigned bin = GRAPH_BINS; bin-- > 0 && largest == 0;) {
        for (const graph_piece *piece = heap->bins[GRAPH_ORDINARY][bin]; piece != NULL; piece = piece->next) {
            if (piece->range.size > largest) largest = piece->range.size;
        }
    }
    return largest;
}

/* Segments. */

graph_segment *graph_segment_create(void) {
    graph_segment *segment = base_allocate(1, sizeof *segment);
    if (segment == NULL) return NULL;
    segment->first = base_allocate(1, sizeof *segment->first);
    if (segment->first != NULL) return segment;
    base_free(segment);
    return NULL;
}

void graph_segment_destroy(graph_segment *segment) {
    base_free(segment->first);
    base_free(segment);
}

void graph_heap_add(graph_heap *heap, graph_segment *segment, uintptr_t address, size_t size) {
    segment->range = (base_range){.start = address, .size = size};
    *segment->first = (graph_piece){
        .range = {.start = address, .size = size}, .segment = segment, .slot = GRAPH_NO_SLOT, .note = GRAPH_NO_NOTE};
    base_range_insert(&heap->segments, &segment->range);
    link_piece(heap, segment->first);
}

void graph_heap_remove(graph_heap *heap, graph_segment *segment) {
    unlink_piece(heap, segment->first);
    base_range_remove(&heap->segments, segment->range.start);
}

bool graph_segment_is_idle(const graph_heap *heap, const graph_segment *segment) {
    return segment->first->after == NULL && graph_piece_is_idle(heap, segment->first);
}

bool graph_heap_each(const graph_heap *heap, bool (*visit)(void *context, graph_piece *piece), void *context) {
    for (graph_segment *segment = next_segment(heap, NULL); segment != NULL; segment = next_segment(heap, segment)) {
        for (graph_piece *piece = segment->first; piece != NULL; piece = piece->after) {
            if (visit(context, piece)) return true;
        }
    }
    return false;
}

static bool forget_slot_in(void *context, graph_piece *piece) {
    const uint32_t *slot = context;
    piece->uses &= ~bit_of(*slot);
    if (piece->slot == *slot) piece->slot = GRAPH_NO_SLOT;
    return false;
}

void graph_heap_forget_slot(graph_heap *heap, uint32_t slot) {
    (void)graph_heap_each(heap, forget_slot_in, &slot);
    graph_heap_settle(heap, false);
}

/* Checking. */

typedef struct checking {
    const graph_heap *heap;
    graph_count count;
    uint64_t free_pieces;
    const char *wrong; /* NULL: nothing so far */
} checking;

static bool check_piece(void *context, graph_piece *piece) {
    checking *self = context;
    size_t size = piece->range.size;
    const memory_block *block = piece->block;
    if (piece->before == NULL && piece != piece->segment->first) self->wrong = "a piece has lost the one before it";
    if (piece->before != NULL && piece->before->range.start + piece->before->range.size != piece->range.start) {
        self->wrong = "two pieces do not meet";
    }
    if (size == 0 || size % self->heap->unit != 0) self->wrong = "a piece has no whole size";
    if (block != NULL) {
        self->count.live_bytes += size;
        self->count.live_pieces++;
        if (block->home != piece || block->capacity != size || (uintptr_t)block->address != piece->range.start) {
            self->wrong = "a descriptor is not its piece's";
        }
        if (base_range_find(self->heap->live, piece->range.start) != &piece->range ||
            base_range_find(self->heap->names, piece->name.start) != &piece->name) {
            self->wrong = "a buffer cannot be found";
        }
    } else {
        self->free_pieces++;
    }
    return self->wrong != NULL;
}

tarn_status graph_heap_check(const graph_heap *heap, const char *name, graph_count *out_count) {
    checking self = {.heap = heap};
    (void)graph_heap_each(heap, check_piece, &self);
    for (const graph_segment *segment = next_segment(heap, NULL); segment != NULL;
         segment = next_segment(heap, segment)) {
        size_t bytes = 0;
        for (const graph_piece *piece = segment->first; piece != NULL; piece = piece->after) bytes += piece->range.size;
        if (segment->first == NULL || bytes != segment->range.size ||
            segment->first->range.start != segment->range.start) {
            self.wrong = "the pieces of a segment do not fill it";
        }
        self.count.segments_bytes += bytes;
    }
    uint64_t listed = 0;
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        for (unsigned bin = 0; bin < GRAPH_BINS; bin++) {
            for (const graph_piece *piece = heap->bins[kind][bin]; piece != NULL; piece = piece->next) {
                listed++;
                if (piece->block != NULL || (int)list_kind(piece) != kind || bin_of(piece->range.size) != bin) {
                    self.wrong = "a piece is in a wrong list";
                }
            }
        }
    }
    if (self.wrong == NULL && listed != self.free_pieces) self.wrong = "a free piece is in no list";
    if (self.wrong != NULL) return base_fail(TARN_INTERNAL, "%s: %s", name, self.wrong);
    *out_count = self.count;
    return TARN_OK;
}
