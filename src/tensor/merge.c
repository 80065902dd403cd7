/* Fewer dimensions: what several operands do along neighbouring dimensions can often be done along one.
 *
 * A backend's loops get longer and its addresses simpler. Contiguous operands end with one dimension, as do rows of a tensor that
 * all of them read in the same way. */
#include "tensor/tensor.h"

/* Dimensions trade their places in all operands, and in the mask. */
static void exchange(tarn_operand *operands, size_t count, uint32_t a, uint32_t b, uint32_t *inout_mask) {
    for (size_t i = 0; i < count; i++) {
        tarn_operand *operand = &operands[i];
        int64_t dim = operand->dims[a], stride = operand->strides[a];
        operand->dims[a] = operand->dims[b];
        operand->strides[a] = operand->strides[b];
        operand->dims[b] = dim;
        operand->strides[b] = stride;
    }
    uint32_t bits = (*inout_mask >> a ^ *inout_mask >> b) & 1u;
    *inout_mask ^= bits << a | bits << b;
}

static void remove_ones(tarn_operand *operands, size_t count, uint32_t *inout_mask) {
    uint32_t rank = operands[0].rank, kept = 0, mask = 0;
    for (uint32_t d = 0; d < rank; d++) {
        if (operands[0].dims[d] == 1) continue;
        for (size_t i = 0; i < count && kept != d; i++) {
            operands[i].dims[kept] = operands[i].dims[d];
            operands[i].strides[kept] = operands[i].strides[d];
        }
        mask |= (*inout_mask >> d & 1u) << kept++;
    }
    for (size_t i = 0; i < count; i++) operands[i].rank = kept;
    *inout_mask = mask;
}

/* Turns dimensions that all operands walk backwards, or stand still along. */
static void turn(tarn_operand *operands, size_t count) {
    for (uint32_t d = 0; d < operands[0].rank; d++) {
        bool is_backwards = false, is_forwards = false;
        for (size_t i = 0; i < count; i++) {
            is_backwards |= operands[i].strides[d] < 0;
            is_forwards |= operands[i].strides[d] > 0;
        }
        if (!is_backwards || is_forwards) continue;
        for (size_t i = 0; i < count; i++) {
            tarn_operand *operand = &operands[i];
            int64_t way = (operand->dims[d] - 1) * operand->strides[d];
            operand->data = (char *)operand->data + way * (int64_t)tarn_element_size(operand->type);
            operand->strides[d] = -operand->strides[d];
        }
    }
}

static uint64_t size_of(int64_t stride) { return stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride; }

/* Whether dimension a, which stands before b, should stand after it: the first operand that moves along both decides. */
static bool is_smaller(const tarn_operand *operands, size_t count, uint32_t a, uint32_t b) {
    for (size_t i = 0; i < count; i++) {
        uint64_t first = size_of(operands[i].strides[a]), second = size_of(operands[i].strides[b]);
        if (first != second && first != 0 && second != 0) return first < second;
    }
    return false;
}

static void sort(tarn_operand *operands, size_t count, uint32_t *inout_mask) {
    for (uint32_t d = 1; d < operands[0].rank; d++) {
        for (uint32_t at = d; at > 0 && is_smaller(operands, count, at - 1, at); at--) {
            exchange(operands, count, at - 1, at, inout_mask);
        }
    }
}

/* Whether one step along `outer` is as many steps along `inner` as there are, for all operands. */
static bool is_one_walk(const tarn_operand *operands, size_t count, uint32_t outer, uint32_t inner) {
    for (size_t i = 0; i < count; i++) {
        int64_t way;
        if (__builtin_mul_overflow(operands[i].dims[inner], operands[i].strides[inner], &way)) return false;
        if (operands[i].strides[outer] != way) return false;
    }
    return true;
}

static void merge(tarn_operand *operands, size_t count, uint32_t *inout_mask) {
    uint32_t rank = operands[0].rank, last = 0, mask = *inout_mask & 1u;
    for (uint32_t d = 1; d < rank; d++) {
        uint32_t bit = *inout_mask >> d & 1u;
        bool is_merged = bit == (mask >> last & 1u) && is_one_walk(operands, count, last, d);
        if (!is_merged) mask |= bit << ++last;
        for (size_t i = 0; i < count; i++) {
            operands[i].dims[last] = is_merged ? operands[i].dims[last] * operands[i].dims[d] : operands[i].dims[d];
            operands[i].strides[last] = operands[i].strides[d];
        }
    }
    for (size_t i = 0; i < count; i++) operands[i].rank = last + 1;
    *inout_mask = mask;
}

void tensor_merge_operands(tarn_operand *operands, size_t count, bool may_reorder, uint32_t *inout_reduced_dims) {
    uint32_t mask = inout_reduced_dims != NULL ? *inout_reduced_dims : 0;
    remove_ones(operands, count, &mask);
    if (may_reorder) turn(operands, count);
    if (may_reorder) sort(operands, count, &mask);
    if (operands[0].rank > 1) merge(operands, count, &mask);
    if (inout_reduced_dims != NULL) *inout_reduced_dims = mask;
}
