/* The search in depth, with a path of its own in place of recursion: a section may have more buffers than a thread's stack
 * has room for. See search_tree.h. */
#include "plan/search_tree.h"

#include "base/memory.h"
#include "base/status.h"

#define FIRST_NODES 256
#define FIRST_ANSWERS 1024
/* Steps between two looks at the watch: some tens of microseconds. */
#define STEPS_PER_LOOK 128
/* The answer that nothing lies there. */
#define NOTHING PLAN_SKYLINE_NONE

struct plan_search_node {
    plan_skyline_run notch;
    uint32_t first_answer, answer_count, next_answer; /* of the tree's answers */
    uint32_t placed;                                  /* the buffer of the answer that is being tried, or NOTHING */
    size_t change_count;                              /* before it */
    plan_skyline_span changed;                        /* by it */
    plan_skyline_span reason;                         /* why all answers up to now lead nowhere */
};

tarn_status plan_search_tree_begin(plan_search_tree *tree, const plan_section *section) {
    *tree = (plan_search_tree){.node_capacity = FIRST_NODES, .answer_capacity = FIRST_ANSWERS};
    tarn_status status = plan_skyline_begin(&tree->skyline, section);
    if (status != TARN_OK) return status;
    tree->nodes = base_allocate(tree->node_capacity, sizeof *tree->nodes);
    tree->answers = base_allocate(tree->answer_capacity, sizeof *tree->answers);
    if (tree->nodes != NULL && tree->answers != NULL) return TARN_OK;
    plan_search_tree_end(tree);
    return base_fail(TARN_OUT_OF_MEMORY, "planning %u buffers: no host memory for the search", section->count);
}

void plan_search_tree_end(plan_search_tree *tree) {
    plan_skyline_end(&tree->skyline);
    base_free(tree->nodes);
    base_free(tree->answers);
}

bool plan_search_is_over(const plan_search_limit *limit, uint64_t target) {
    return plan_watch_is_over(limit->watch) || atomic_load_explicit(limit->height, memory_order_relaxed) <= target ||
           atomic_load_explicit(limit->bound, memory_order_relaxed) > target;
}

static bool reserve(plan_search_tree *tree, uint32_t answers) {
    if (tree->node_count == tree->node_capacity) {
        plan_search_node *grown = base_reallocate(tree->nodes, (size_t)tree->node_capacity * 2, sizeof *grown);
        if (grown == NULL) return false;
        tree->nodes = grown;
        tree->node_capacity *= 2;
    }
    if (tree->answer_capacity - tree->answer_count < answers) {
        uint32_t capacity = tree->answer_capacity * 2 + answers;
        uint32_t *grown = base_reallocate(tree->answers, capacity, sizeof *grown);
        if (grown == NULL) return false;
        tree->answers = grown;
        tree->answer_capacity = capacity;
    }
    return true;
}

/* How well a buffer fits a notch: best where it leaves no step, level with the wall beside it; well where it goes from wall to wall. */
static int fit_of(const plan_skyline *skyline, const plan_skyline_run *notch, uint32_t buffer) {
    const plan_section *section = skyline->section;
    uint64_t top = skyline->slots[notch->open.lower].floor + section->size[buffer];
    plan_skyline_span span = {section->lower[buffer], section->upper[buffer]}, whole = notch->whole;
    bool is_level = span.lower == whole.lower && whole.lower > 0 && skyline->slots[whole.lower - 1].floor == top;
    if (!is_level && span.upper == whole.upper && whole.upper < section->slot_count) {
        is_level = skyline->slots[whole.upper].floor == top;
    }
    bool is_wide = span.lower == notch->open.lower && span.upper == notch->open.upper;
    return (is_level ? 3 : 0) + (is_wide ? 2 : 0);
}

/* Brings answers that fit well to the front; those that fit alike stay in order. */
static void sort_by_fit(const plan_skyline *skyline, const plan_skyline_run *notch, uint32_t *answers, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        uint32_t buffer = answers[i], place = i;
        int fit = fit_of(skyline, notch, buffer);
        for (; place > 0 && fit_of(skyline, notch, answers[place - 1]) < fit; place--)
            answers[place] = answers[place - 1];
        answers[place] = buffer;
    }
}

/* Goes one node down: to the notch's question. */
static bool descend(plan_search_tree *tree, const plan_skyline_run *notch, bool fits_first) {
    if (!reserve(tree, notch->answers)) return false;
    plan_search_node *node = &tree->nodes[tree->node_count++];
    *node = (plan_search_node){.notch = *notch,
                               .first_answer = tree->answer_count,
                               .next_answer = tree->answer_count,
                               .change_count = tree->skyline.change_count,
                               .reason = plan_skyline_with_walls(&tree->skyline, notch->whole)};
    node->answer_count = plan_skyline_answers(&tree->skyline, notch, tree->answers + tree->answer_count);
    if (fits_first) sort_by_fit(&tree->skyline, notch, tree->answers + node->first_answer, node->answer_count);
    if (notch->may_block) tree->answers[node->first_answer + node->answer_count++] = NOTHING;
    tree->answer_count += node->answer_count;
    return true;
}

/* Tries the next answer of the last node. */
static plan_skyline_move advance(plan_search_tree *tree, plan_skyline_span *out_reason) {
    plan_search_node *node = &tree->nodes[tree->node_count - 1];
    node->placed = tree->answers[node->next_answer++];
    if (node->placed == NOTHING) return plan_skyline_block(&tree->skyline, &node->notch, &node->changed, out_reason);
    return plan_skyline_place(&tree->skyline, node->placed, &node->changed, out_reason);
}

static bool touches(plan_skyline_span a, plan_skyline_span b) { return a.lower < b.upper && b.lower < a.upper; }

/* Goes back from a dead end to the nearest node that has an answer left which might help. False when there is none. */
static bool go_back(plan_search_tree *tree, plan_skyline_span reason) {
    while (tree->node_count > 0) {
        plan_search_node *node = &tree->nodes[tree->node_count - 1];
        plan_skyline_undo(&tree->skyline, node->change_count, node->changed, node->placed);
        if (touches(reason, node->changed)) {
            if (reason.lower < node->reason.lower) node->reason.lower = reason.lower;
            if (reason.upper > node->reason.upper) node->reason.upper = reason.upper;
            if (node->next_answer < node->first_answer + node->answer_count) return true;
            reason = node->reason;
        }
        tree->answer_count = node->first_answer;
        tree->node_count--;
    }
    return false;
}

plan_search_end plan_search_tree_run(plan_search_tree *tree, const uint32_t *order, uint64_t target,
                                     const plan_search_limit *limit) {
    plan_skyline *skyline = &tree->skyline;
    tree->node_count = tree->answer_count = 0;
    if (!plan_skyline_reset(skyline, order, target)) return PLAN_SEARCH_IMPOSSIBLE;
    uint64_t dead_ends = 0;
    for (uint64_t step = 1; skyline->placed_count < skyline->section->count; step++) {
        if (step % STEPS_PER_LOOK == 0 && plan_search_is_over(limit, target)) return PLAN_SEARCH_STOPPED;
        const plan_skyline_run *notch = plan_skyline_notch(skyline);
        plan_skyline_span reason = plan_skyline_with_walls(skyline, notch->whole);
        bool is_dead = notch->answers == 0;
        if (!is_dead && !descend(tree, notch, limit->fits_first)) return PLAN_SEARCH_NO_MEMORY;
        while (true) {
            if (is_dead) {
                if (++dead_ends > limit->dead_ends) return PLAN_SEARCH_TIRED;
                if (!go_back(tree, reason)) return PLAN_SEARCH_IMPOSSIBLE;
            }
            plan_skyline_move move = advance(tree, &reason);
            if (move == PLAN_SKYLINE_NO_MEMORY) return PLAN_SEARCH_NO_MEMORY;
            if (move == PLAN_SKYLINE_MOVED) break;
            is_dead = true;
        }
    }
    return PLAN_SEARCH_FOUND;
}
