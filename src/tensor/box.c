/* Which copies of strided tensors are boxes. Merged operands have as few dimensions as there can be, so a box has three at most. */
#include "tensor/box.h"

/* Several rows of fewer bytes than this are better gathered by a kernel first. */
#define SHORT_ROW ((size_t)64)

/* Bytes from one place to the next along a dimension; 0 where that is no pitch: backwards, or on the same place. */
static size_t pitch_of(const tarn_operand *operand, uint32_t dimension, size_t size) {
    size_t pitch;
    int64_t stride = operand->strides[dimension];
    return stride > 0 && !__builtin_mul_overflow((size_t)stride, size, &pitch) ? pitch : 0;
}

/* Fills one side's pitches. False where rows or slices overlap. */
static bool read_pitches(const tarn_operand *operand, const tarn_box *box, size_t *out_row_pitch,
                         size_t *out_slice_pitch) {
    size_t size = tarn_element_size(operand->type), slice;
    uint32_t rank = operand->rank;
    if (rank > 0 && operand->strides[rank - 1] != 1) return false;
    if (rank > 1) *out_row_pitch = pitch_of(operand, rank - 2, size);
    if (rank > 2) *out_slice_pitch = pitch_of(operand, rank - 3, size);
    if (rank > 1 && *out_row_pitch < box->width) return false;
    if (rank < 3) return true;
    return !__builtin_mul_overflow(box->height - 1, *out_row_pitch, &slice) &&
           !__builtin_add_overflow(slice, box->width, &slice) && *out_slice_pitch >= slice;
}

bool tensor_box_of(const tarn_operand operands[2], bool can_gather, tarn_box *out_box) {
    const tarn_operand *to = &operands[0], *from = &operands[1];
    uint32_t rank = to->rank;
    if (rank > 3) return false;
    tarn_box box = {.struct_size = sizeof box, .height = 1, .depth = 1};
    box.width = tarn_element_size(to->type) * (rank > 0 ? (size_t)to->dims[rank - 1] : 1);
    if (rank > 1 && box.width < SHORT_ROW && can_gather) return false;
    if (rank > 1) box.height = (size_t)to->dims[rank - 2];
    if (rank > 2) box.depth = (size_t)to->dims[rank - 3];
    if (!read_pitches(to, &box, &box.destination_row_pitch, &box.destination_slice_pitch) ||
        !read_pitches(from, &box, &box.source_row_pitch, &box.source_slice_pitch)) {
        return false;
    }
    *out_box = box;
    return true;
}

void tensor_packed_operand(const tarn_tensor *tensor, void *data, tarn_operand *out_operand) {
    tensor_operand(tensor, NULL, out_operand);
    out_operand->data = data;
    int64_t stride = 1;
    for (uint32_t d = out_operand->rank; d-- > 0;) {
        out_operand->strides[d] = stride;
        stride *= out_operand->dims[d];
    }
}
