/* Boxes: buffers that fit each other without waste, put together, so that a section becomes one of fewer and larger buffers. */
#ifndef PLAN_BOXES_H
#define PLAN_BOXES_H

#include "plan/problem.h"
#include "plan/sort.h"

/* A buffer, or two boxes together. */
typedef struct plan_box {
    uint32_t lower, upper; /* it lives in the slots [lower, upper) */
    uint64_t size, offset;
    uint32_t parts[2]; /* of a buffer: PLAN_BOX_NONE */
    bool is_stack; /* the second part lies on the first; otherwise it begins where the first ends, at the same offset */
    bool is_inside; /* it is part of another box */
    bool is_guess;  /* of a stack: it has not been made yet, and its parts may become parts of another one */
} plan_box;

#define PLAN_BOX_NONE UINT32_MAX

typedef struct plan_boxes {
    plan_box *boxes; /* the section's buffers, then what is made of them */
    uint32_t count;
    plan_section outer; /* the boxes that are part of no other */
    uint32_t *box_of;   /* of each buffer of `outer` */
    uint32_t *lower, *upper;
    uint64_t *size, *alignment, *fixed;
} plan_boxes;

/* Boxes of a section without gaps, fixed offsets and alignments of its own. Equal sections get equal boxes. False without host
 * memory; there is nothing to end then. */
bool plan_boxes_begin(plan_boxes *boxes, const plan_section *section);
void plan_boxes_end(plan_boxes *boxes);

/* Writes the buffers' offsets where those of `outer` are known. The height is the same. */
void plan_boxes_unpack(plan_boxes *boxes, const uint64_t *outer_offsets, uint64_t *out_offsets);

#endif
