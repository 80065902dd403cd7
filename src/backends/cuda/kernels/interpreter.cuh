/* A program interpreted, element by element: for whatever is not compiled for its steps. All values are in registers of eight bytes;
 * integers of all types are computed in the widest and wrapped after each step, which gives what their own arithmetic would. */
#ifndef CUDA_KERNELS_INTERPRETER_CUH
#define CUDA_KERNELS_INTERPRETER_CUH

#include "functions.cuh"
#include "space.cuh"

DEVICE bool is_single(uint32 type) { return type <= TYPE_BF16; }

DEVICE int64 wrap(int64 value, uint32 type) {
    switch (type) {
    case TYPE_I8: return (int8)value;
    case TYPE_U8: return (uint8)value;
    case TYPE_I16: return (short)value;
    case TYPE_I32: return (int)value;
    case TYPE_BOOL: return value != 0;
    default: return value;
    }
}

DEVICE cuda_lane read_lane(const void *data, int64 offset, uint32 type) {
    cuda_lane lane;
    lane.integer = 0;
    switch (type) {
    case TYPE_F32: lane.single = ((const float *)data)[offset]; break;
    case TYPE_F16: lane.single = load(((const half16 *)data)[offset]); break;
    case TYPE_BF16: lane.single = load(((const bfloat16 *)data)[offset]); break;
    case TYPE_F64: lane.real = ((const double *)data)[offset]; break;
    case TYPE_I8: lane.integer = ((const int8 *)data)[offset]; break;
    case TYPE_U8: lane.integer = ((const uint8 *)data)[offset]; break;
    case TYPE_I16: lane.integer = ((const short *)data)[offset]; break;
    case TYPE_I32: lane.integer = ((const int *)data)[offset]; break;
    case TYPE_I64: lane.integer = ((const int64 *)data)[offset]; break;
    default: lane.integer = load(((const truth *)data)[offset]); break;
    }
    return lane;
}

DEVICE void write_lane(void *data, int64 offset, uint32 type, cuda_lane lane) {
    switch (type) {
    case TYPE_F32: ((float *)data)[offset] = lane.single; break;
    case TYPE_F16: store((half16 *)data + offset, lane.single); break;
    case TYPE_BF16: store((bfloat16 *)data + offset, lane.single); break;
    case TYPE_F64: ((double *)data)[offset] = lane.real; break;
    case TYPE_I8:
    case TYPE_U8: ((uint8 *)data)[offset] = (uint8)lane.integer; break;
    case TYPE_I16: ((short *)data)[offset] = (short)lane.integer; break;
    case TYPE_I32: ((int *)data)[offset] = (int)lane.integer; break;
    case TYPE_I64: ((int64 *)data)[offset] = lane.integer; break;
    default: store((truth *)data + offset, lane.integer != 0); break;
    }
}

DEVICE cuda_lane cast_lane(cuda_lane lane, uint32 from, uint32 to) {
    cuda_lane result;
    result.integer = 0;
    if (from == TYPE_F16) lane.single = round_trip<half16>(lane.single);
    if (from == TYPE_BF16) lane.single = round_trip<bfloat16>(lane.single);
    if (is_single(to)) {
        result.single = is_single(from) ? lane.single : from == TYPE_F64 ? (float)lane.real : (float)lane.integer;
    } else if (to == TYPE_F64) {
        result.real = is_single(from) ? (double)lane.single : from == TYPE_F64 ? lane.real : (double)lane.integer;
    } else if (to == TYPE_BOOL) {
        result.integer = is_single(from) ? lane.single != 0 : from == TYPE_F64 ? lane.real != 0 : lane.integer != 0;
    } else {
        result.integer =
            wrap(is_single(from) ? (int64)lane.single : from == TYPE_F64 ? (int64)lane.real : lane.integer, to);
    }
    return result;
}

/* What floats alone have. */
template <class Lane> DEVICE_CALLED Lane compute_real(uint32 operation, Lane x) {
    switch (operation) {
    case DO_EXP: return compute_exp(x);
    case DO_LOG: return compute_log(x);
    case DO_SQRT: return compute_sqrt(x);
    case DO_SIN: return compute_sin(x);
    case DO_COS: return compute_cos(x);
    case DO_SIGMOID: return compute_sigmoid(x);
    default: return compute_tanh(x);
    }
}
DEVICE int64 compute_real(uint32, int64 x) { return x; }

/* A step from lanes of one sort to that sort. */
template <class Lane> DEVICE Lane compute_step(uint32 operation, Lane x, Lane y) {
    switch (operation) {
    case DO_NEG: return compute_neg(x);
    case DO_RELU: return compute_relu(x);
    case DO_ADD: return compute_add(x, y);
    case DO_SUBTRACT: return compute_subtract(x, y);
    case DO_MULTIPLY: return compute_multiply(x, y);
    case DO_DIVIDE: return compute_divide(x, y);
    case DO_POW: return compute_pow(x, y);
    case DO_MAXIMUM: return compute_maximum(x, y);
    case DO_MINIMUM: return compute_minimum(x, y);
    default: return compute_real(operation, x);
    }
}

template <class Lane> DEVICE int64 compute_comparison(uint32 operation, Lane x, Lane y) {
    return operation == DO_EQUAL ? compute_equal(x, y) : operation == DO_LESS ? compute_less(x, y) : compute_less_equal(x, y);
}

DEVICE cuda_lane run_step(const cuda_step &step, const cuda_lane *registers) {
    cuda_lane x = registers[step.values[0]], y = registers[step.values[1]], result;
    result.integer = 0;
    switch (step.operation) {
    case DO_COPY: return cast_lane(x, step.taken_type, step.type);
    case DO_SELECT: return x.integer != 0 ? y : registers[step.values[2]];
    case DO_RANDOM:
        if (step.type == TYPE_F64) result.real = random_double(x.integer, y.integer);
        else result.single = random_float(x.integer, y.integer);
        return result;
    case DO_EQUAL:
    case DO_LESS:
    case DO_LESS_EQUAL:
        result.integer = is_single(step.taken_type)       ? compute_comparison(step.operation, x.single, y.single)
                         : step.taken_type == TYPE_F64 ? compute_comparison(step.operation, x.real, y.real)
                                                       : compute_comparison(step.operation, x.integer, y.integer);
        return result;
    default: break;
    }
    if (is_single(step.type)) result.single = compute_step(step.operation, x.single, y.single);
    else if (step.type == TYPE_F64) result.real = compute_step(step.operation, x.real, y.real);
    else result.integer = wrap(compute_step(step.operation, x.integer, y.integer), step.type);
    return result;
}

/* All steps, for one element of the space: that of number `kept` among those that are kept and `reduced` among the others. */
static DEVICE_CALLED void run_program(const cuda_program &program, uint64 kept, uint64 reduced, cuda_lane *registers) {
    const cuda_space &space = program.space;
    for (uint32 i = space.output_count; i < space.operand_count; i++) {
        int64 offset = offset_of(kept, space.dims, space.strides[i], 0, space.kept_rank) +
                       offset_of(reduced, space.dims, space.strides[i], space.kept_rank, space.rank);
        registers[i - space.output_count] = read_lane(space.data[i], offset, space.types[i]);
    }
    registers[CUDA_INDEX_REGISTER].integer = space.first_index +
                                             offset_of(kept, space.dims, space.index_strides, 0, space.kept_rank) +
                                             offset_of(reduced, space.dims, space.index_strides, space.kept_rank, space.rank);
    for (uint32 i = 0; i < program.step_count; i++)
        registers[CUDA_FIRST_STEP + i] = run_step(program.steps[i], registers);
}

/* Of registers, what is the same for all elements. */
DEVICE void begin_program(const cuda_program &program, cuda_lane *registers) {
    for (uint32 i = 0; i < program.constant_count; i++) registers[CUDA_FIRST_CONSTANT + i] = program.constants[i];
    /* Steps read registers that their operation does not take. */
    registers[0].integer = 0;
}

#endif
