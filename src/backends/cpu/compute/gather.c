/* Slices by number. The space is that of the result without its last dimension: for each place in it the number is read once where
 * it does not change along the last dimension, which is then copied as one row. */
#include <stdatomic.h>
#include <string.h>

#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/threads.h"
#include "backends/cpu/cpu_internal.h"

/* Bytes that are worth a thread's attention. */
#define GRAIN_BYTES ((size_t)64 << 10)

typedef struct gather {
    const tarn_operand *out, *in, *indices;
    uint32_t axis;
    size_t element;        /* bytes */
    uint32_t row_rank;     /* dimensions of the space of rows: the result's without the last, if it has one */
    int64_t row;           /* elements of a row */
    int64_t from_stride;   /* along a row, where the numbers do not vary along it */
    int numbers_vary;      /* the last dimension of the result is one of the indices */
    atomic_int has_failed; /* set by whoever writes the next; relaxed: read after all have finished */
    int64_t wrong;         /* a number that is out of range */
} gather;

static int64_t read_number(const tarn_operand *indices, int64_t offset) {
    if (indices->type == TARN_ELEMENT_I32) return ((const int32_t *)indices->data)[offset];
    return ((const int64_t *)indices->data)[offset];
}

/* The slice's place along the axis; -1, with the failure noted, for a number out of range. */
static int64_t find_slice(gather *work, int64_t number) {
    int64_t slices = work->in->dims[work->axis];
    if (number >= 0 && number < slices) return number;
    if (number < 0 && number >= -slices) return number + slices;
    if (atomic_exchange_explicit(&work->has_failed, 1, memory_order_relaxed) == 0) work->wrong = number;
    return -1;
}

static void copy_element(char *to, const char *from, size_t element) {
    switch (element) {
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8); break;
    }
}

/* One row of a slice, or zeros where `from` is NULL. */
static void copy_row(const gather *work, char *to, int64_t to_stride, const char *from, int64_t from_stride) {
    size_t element = work->element;
    if (from != NULL && to_stride == 1 && from_stride == 1) {
        memcpy(to, from, (size_t)work->row * element);
        return;
    }
    for (int64_t i = 0; i < work->row; i++) {
        static const char zero[8];
        int64_t size = (int64_t)element;
        copy_element(to + i * to_stride * size, from != NULL ? from + i * from_stride * size : zero, element);
    }
}

/* A row along which the numbers change. */
static void copy_by_number(gather *work, char *to, int64_t to_stride, const char *from, int64_t number_offset) {
    static const char zero[8];
    int64_t size = (int64_t)work->element;
    int64_t number_stride = work->indices->rank > 0 ? work->indices->strides[work->indices->rank - 1] : 0;
    for (int64_t i = 0; i < work->row; i++) {
        int64_t slice = find_slice(work, read_number(work->indices, number_offset + i * number_stride));
        copy_element(to + i * to_stride * size, slice >= 0 ? from + slice * work->in->strides[work->axis] * size : zero,
                     work->element);
    }
}

static void gather_row(gather *work, size_t row) {
    const tarn_operand *out = work->out, *in = work->in, *indices = work->indices;
    int64_t out_offset = 0, in_offset = 0, number_offset = 0;
    for (uint32_t i = work->row_rank; i-- > 0;) {
        int64_t place = (int64_t)(row % (size_t)out->dims[i]);
        row /= (size_t)out->dims[i];
        out_offset += place * out->strides[i];
        if (i < work->axis) in_offset += place * in->strides[i];
        else if (i < work->axis + indices->rank) number_offset += place * indices->strides[i - work->axis];
        else in_offset += place * in->strides[i - indices->rank + 1];
    }
    int64_t size = (int64_t)work->element;
    char *to = (char *)out->data + out_offset * size;
    const char *from = (const char *)in->data + in_offset * size;
    int64_t to_stride = out->rank > 0 ? out->strides[out->rank - 1] : 0;
    if (work->numbers_vary) {
        copy_by_number(work, to, to_stride, from, number_offset);
        return;
    }
    int64_t slice = find_slice(work, read_number(indices, number_offset));
    copy_row(work, to, to_stride, slice >= 0 ? from + slice * in->strides[work->axis] * size : NULL, work->from_stride);
}

static void gather_rows(void *context, size_t begin, size_t end) {
    for (size_t row = begin; row < end; row++) gather_row(context, row);
}

tarn_status cpu_gather_run(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0], *in = &operation->operands[1];
    gather work = {.out = out, .in = in, .indices = &operation->operands[2], .axis = operation->attributes.gather.axis};
    bool axis_is_last = work.axis + 1 == in->rank;
    work.element = tarn_element_size(in->type);
    work.row_rank = out->rank > 0 ? out->rank - 1 : 0;
    work.row = out->rank > 0 ? out->dims[out->rank - 1] : 1;
    work.numbers_vary = axis_is_last && work.indices->rank > 0;
    /* The last dimension of the result is the last of the input that is not the axis. */
    if (in->rank > 1) work.from_stride = in->strides[axis_is_last ? in->rank - 2 : in->rank - 1];
    size_t rows = 1;
    for (uint32_t i = 0; i < work.row_rank; i++) rows *= (size_t)out->dims[i];
    cpu_parallel(rows, GRAIN_BYTES / ((size_t)work.row * work.element) + 1, gather_rows, &work);
    if (!atomic_load_explicit(&work.has_failed, memory_order_relaxed)) return TARN_OK;
    return cpu_fail(TARN_INVALID_ARGUMENT, "gather: slice %lld of a dimension of %lld slices", (long long)work.wrong,
                    (long long)in->dims[work.axis]);
}
