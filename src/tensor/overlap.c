/* Whether two views share memory, element by element: the left and the right half of a matrix do not, although their addresses interleave.
 *
 * The distance between an element of one view and one of the other is a sum of strides, each taken a bounded number of times. They share a
 * byte when some such sum comes close enough to 0. The strides are tried from the longest to the shortest, and at each one only those
 * multiples from which the rest still reaches 0: for views as people make them that is one or two. */
#include "tensor/overlap.h"

typedef struct term {
    int64_t step;  /* bytes, above 0 */
    int64_t count; /* taken 0 to count times */
} term;

typedef struct search {
    term terms[2 * TARN_MAXIMUM_RANK];
    int64_t reaches[2 * TARN_MAXIMUM_RANK + 1]; /* the most that the terms from here on add up to */
    size_t count;
    int64_t low, high; /* distances strictly between these are an overlap */
    int steps_left;
} search;

/* Enough for all views of a few slices; the worst ones take exponentially many. */
#define MAXIMUM_STEPS 4096

/* Keeps the terms sorted by step, longest first, and equal steps as one. */
static void add_term(search *state, int64_t step, int64_t count) {
    size_t place = 0;
    while (place < state->count && state->terms[place].step > step) place++;
    if (place < state->count && state->terms[place].step == step) {
        state->terms[place].count += count;
        return;
    }
    for (size_t i = state->count++; i > place; i--) state->terms[i] = state->terms[i - 1];
    state->terms[place] = (term){.step = step, .count = count};
}

/* Adds the strides of one operand, with their signs turned where it is the one that is subtracted, and returns how far its
 * lowest distance lies from that of its first element. */
static int64_t add_operand(search *state, const tarn_operand *operand, int64_t sign) {
    int64_t lowest = 0, size = (int64_t)tarn_element_size(operand->type);
    for (uint32_t i = 0; i < operand->rank; i++) {
        /* Of a dimension of 1 no step is taken, and its stride may be any number. */
        if (operand->dims[i] == 1 || operand->strides[i] == 0) continue;
        int64_t step = operand->strides[i] * size * sign, count = operand->dims[i] - 1;
        if (step < 0) lowest += step * count;
        add_term(state, step < 0 ? -step : step, count);
    }
    return lowest;
}

/* The least z with a + step * z > low, and the greatest with a + step * z < high, for 0 <= z <= count. */
static bool find_candidates(const search *state, size_t place, int64_t distance, int64_t *out_first,
                            int64_t *out_last) {
    const term *current = &state->terms[place];
    int64_t missing = state->low + 1 - distance - state->reaches[place + 1];
    int64_t room = state->high - 1 - distance;
    if (room < 0) return false;
    int64_t first = missing > 0 ? (missing + current->step - 1) / current->step : 0;
    int64_t last = room / current->step;
    *out_first = first;
    *out_last = last < current->count ? last : current->count;
    return *out_first <= *out_last;
}

static bool comes_close(search *state, size_t place, int64_t distance) {
    if (place == state->count) return distance > state->low && distance < state->high;
    int64_t first, last;
    if (!find_candidates(state, place, distance, &first, &last)) return false;
    for (int64_t z = first; z <= last; z++) {
        if (state->steps_left-- <= 0) return true;
        if (comes_close(state, place + 1, distance + z * state->terms[place].step)) return true;
    }
    return false;
}

bool tensor_operands_overlap(const tarn_operand *a, const tarn_operand *b) {
    search state = {.low = -(int64_t)tarn_element_size(a->type),
                    .high = (int64_t)tarn_element_size(b->type),
                    .steps_left = MAXIMUM_STEPS};
    int64_t distance = (int64_t)((uintptr_t)a->data - (uintptr_t)b->data);
    distance += add_operand(&state, a, 1);
    distance += add_operand(&state, b, -1);
    for (size_t i = state.count; i-- > 0;) {
        state.reaches[i] = state.reaches[i + 1] + state.terms[i].step * state.terms[i].count;
    }
    return comes_close(&state, 0, distance);
}

bool tensor_operands_coincide(const tarn_operand *a, const tarn_operand *b) {
    if (a->data != b->data || a->type != b->type) return false;
    for (uint32_t i = 0; i < a->rank; i++) {
        if (a->dims[i] > 1 && a->strides[i] != b->strides[i]) return false;
    }
    return true;
}
