/* The regions of a plan: how high each is, how high it has to be, and when it is fullest. */
#include "plan_layout.h"

#include <stdlib.h>

typedef struct change {
    int64_t time;
    uint64_t bytes;
    uint32_t region;
    bool is_end;
} change;

static int compare_changes(const void *left, const void *right) {
    const change *a = left, *b = right;
    if (a->region != b->region) return a->region < b->region ? -1 : 1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return (int)b->is_end - (int)a->is_end;
}

/* Finds each region's first moment when the most bytes are alive, gaps aside. `changes` has room for two for each buffer. */
static void find_peaks(const plan_layout *layout, change *changes) {
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(layout->problem);
    size_t count = 0;
    for (size_t i = 0; i < layout->info.buffer_count; i++) {
        if (buffers[i].size == 0) continue;
        changes[count++] = (change){buffers[i].lower, buffers[i].size, buffers[i].region, false};
        changes[count++] = (change){buffers[i].upper, buffers[i].size, buffers[i].region, true};
    }
    qsort(changes, count, sizeof *changes, compare_changes);
    uint64_t live = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || changes[i].region != changes[i - 1].region) most = 0;
        live = changes[i].is_end ? live - changes[i].bytes : live + changes[i].bytes;
        if (live <= most) continue;
        most = live;
        layout->regions[changes[i].region].peak = changes[i].time;
    }
}

static void add_buffer(plan_region *region, const tarn_plan_buffer *buffer, uint64_t offset) {
    if (region->count == 0 || buffer->lower < region->first) region->first = buffer->lower;
    if (region->count == 0 || buffer->upper > region->last) region->last = buffer->upper;
    if (offset + buffer->size > region->height) region->height = offset + buffer->size;
    region->count++;
}

bool plan_layout_regions(plan_layout *layout) {
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(layout->problem);
    size_t count = layout->info.buffer_count;
    change *changes = calloc(2 * count + 1, sizeof *changes);
    layout->regions = calloc(layout->info.region_count + 1, sizeof *layout->regions);
    bool is_whole = changes != NULL && layout->regions != NULL;
    for (size_t i = 0; i < count && is_whole; i++)
        if (buffers[i].size > 0) add_buffer(&layout->regions[buffers[i].region], &buffers[i], layout->offsets[i]);
    if (is_whole) find_peaks(layout, changes);
    for (uint32_t number = 0; number < layout->info.region_count && is_whole; number++) {
        plan_region region = layout->regions[number];
        if (region.count == 0) continue;
        region.number = number;
        is_whole = tarn_plan_lower_bound(buffers, count, number, &region.lower_bound) == TARN_OK;
        layout->regions[layout->region_count++] = region;
    }
    free(changes);
    return is_whole;
}

void plan_layout_free(plan_layout *layout) {
    free(layout->regions);
    free(layout->offsets);
    tarn_plan_problem_release(layout->problem);
    *layout = (plan_layout){0};
}

bool plan_piece_at(const tarn_plan_buffer *buffer, size_t index, plan_piece *out_piece) {
    /* Piece 2k is what lies before gap k, piece 2k + 1 what is needed in it. */
    size_t gap = index / 2;
    if (index > 2 * (size_t)buffer->gap_count) return false;
    const tarn_plan_gap *gaps = buffer->gaps;
    *out_piece = (plan_piece){.size = buffer->size};
    if (index % 2 == 0) {
        out_piece->from = gap == 0 ? buffer->lower : gaps[gap - 1].upper;
        out_piece->to = gap < buffer->gap_count ? gaps[gap].lower : buffer->upper;
    } else {
        out_piece->from = gaps[gap].lower;
        out_piece->to = gaps[gap].upper;
        out_piece->begin = gaps[gap].window_lower;
        out_piece->size = gaps[gap].window_upper - gaps[gap].window_lower;
    }
    return true;
}

double plan_efficiency(uint64_t lower_bound, uint64_t height) {
    return height == 0 ? 1 : (double)lower_bound / (double)height;
}
