/* Counting up: begin + step × place, of integers in 64-bit integers, of all else in double precision; the sum is cast. */
#include <math.h>

#include "base/status.h"
#include "tensor/element.h"
#include "tensor/made.h"

static double number_of(tarn_scalar value) {
    return value.kind == TARN_SCALAR_FLOAT ? value.floating : (double)value.integer;
}

static bool is_whole(tarn_scalar value) { return value.kind != TARN_SCALAR_FLOAT; }

/* How many numbers there are; false for more than can be counted. */
static bool count_integers(int64_t begin, int64_t end, int64_t step, int64_t *out_count) {
    bool is_empty = step > 0 ? begin >= end : begin <= end;
    uint64_t way = step > 0 ? (uint64_t)end - (uint64_t)begin : (uint64_t)begin - (uint64_t)end;
    uint64_t size = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    uint64_t count = is_empty ? 0 : (way - 1) / size + 1;
    *out_count = (int64_t)count;
    return count <= INT64_MAX;
}

static bool count_floats(double begin, double end, double step, int64_t *out_count) {
    double count = ceil((end - begin) / step);
    *out_count = count > 0 ? (int64_t)fmin(count, 0x1p62) : 0;
    return count < 0x1p62;
}

tarn_status tarn_tensor_arange(tarn_allocator *allocator, tarn_scalar begin, tarn_scalar end, tarn_scalar step,
                               tarn_element_type type, tarn_stream *stream, tarn_tensor **out_tensor) {
    double from = number_of(begin), to = number_of(end), by = number_of(step);
    if (out_tensor == NULL) return base_fail(TARN_INVALID_ARGUMENT, "tensor_arange: the place for the tensor is NULL");
    if (by == 0 || !isfinite(by) || !isfinite(from) || !isfinite(to)) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_arange: from %g to %g in steps of %g is no count", from, to,
                         by);
    }
    bool is_exact = is_whole(begin) && is_whole(end) && is_whole(step);
    tarn_shape shape = {.rank = 1};
    bool is_countable = is_exact ? count_integers(begin.integer, end.integer, step.integer, &shape.dims[0])
                                 : count_floats(from, to, by, &shape.dims[0]);
    if (!is_countable) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "tensor_arange: from %g to %g in steps of %g are more elements than can be counted", from, to,
                         by);
    }
    tarn_element_type computed = is_exact ? TARN_ELEMENT_I64 : TARN_ELEMENT_F64;
    tensor_program program = {0};
    tarn_value value = tensor_index();
    if (is_exact) {
        value = tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, value, tensor_integer(&program, step.integer));
        value = tensor_step(&program, TARN_OPERATION_ADD, computed, value, tensor_integer(&program, begin.integer));
    } else {
        value = tensor_step_of_one(&program, TARN_OPERATION_COPY, computed, value);
        value = tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, value, tensor_float(&program, computed, by));
        value = tensor_step(&program, TARN_OPERATION_ADD, computed, value, tensor_float(&program, computed, from));
    }
    if (type != computed) tensor_step_of_one(&program, TARN_OPERATION_COPY, type, value);
    return tensor_make(&program, "tensor_arange", allocator, &shape, type, stream, out_tensor);
}
