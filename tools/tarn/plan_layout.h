/* A problem and the plan that was found for it: what `tarn plan` gathers, and its writers draw. */
#ifndef PLAN_LAYOUT_H
#define PLAN_LAYOUT_H

#include "tool.h"

/* One region of the plan. */
typedef struct plan_region {
    uint32_t number;
    size_t count;         /* buffers with a size */
    uint64_t height;      /* bytes */
    uint64_t lower_bound; /* bytes */
    int64_t first, last;  /* the times from the first life's beginning to the last one's end */
    int64_t peak;         /* a moment when the most bytes are alive */
} plan_region;

typedef struct plan_layout {
    const char *path;
    tarn_plan_problem *problem;
    tarn_plan_problem_info info;
    uint64_t *offsets; /* one for each buffer */
    uint64_t capacity; /* bytes of each region; UINT64_MAX: no limit */
    tarn_plan_result result;
    plan_region *regions; /* those with buffers of a size, in order */
    size_t region_count;
} plan_layout;

/* A rectangle of a buffer: bytes [begin, begin + size) of it during [from, to). Gaps cut a buffer into several. */
typedef struct plan_piece {
    int64_t from, to;
    uint64_t begin, size;
} plan_piece;

/* Piece `index` of a buffer, which may be empty. False: there are not so many. */
bool plan_piece_at(const tarn_plan_buffer *buffer, size_t index, plan_piece *out_piece);

/* Finds the regions. False: no memory. */
bool plan_layout_regions(plan_layout *layout);
void plan_layout_free(plan_layout *layout);
/* The part of the height that no plan can do without. 1 for an empty one. */
double plan_efficiency(uint64_t lower_bound, uint64_t height);

/* Each writes one file whole or not at all, says on stderr what failed, as `command`, and returns an exit code. */
int plan_svg_write(const plan_layout *layout, const char *command, const char *path);
int plan_page_write(const plan_layout *layout, const char *command, const char *path);

#endif
