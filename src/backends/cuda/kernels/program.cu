/* Programs: the interpreter's kernels, which run any of them, and the end of reductions that were cut into slices. */
#include "reduce.cuh"

KERNEL(tarn_program)(PARAMETER(cuda_program) program) {
    cuda_lane registers[CUDA_REGISTERS];
    begin_program(program, registers);
    const cuda_space &space = program.space;
    for (uint64 i = thread_number(); i < (uint64)space.kept; i += thread_count()) {
        run_program(program, i, 0, registers);
        for (uint32 out = 0; out < space.output_count; out++) {
            int64 offset = offset_of(i, space.dims, space.strides[out], 0, space.kept_rank);
            cuda_lane lane = registers[program.results[out]];
            /* The step that the result comes from has the output's type, unless it is an input. */
            write_lane(space.data[out], offset, space.types[out], lane);
        }
    }
}

template <class Lane> DEVICE void reduce_program(const cuda_program &program, const cuda_reduction &shape) {
    cuda_lane registers[CUDA_REGISTERS];
    begin_program(program, registers);
    reduction_place place = place_of_thread(shape);
    uint64 output = (uint64)blockIdx.x * shape.outputs + place.output;
    running<Lane> mine = begin_reduction<Lane>(shape.operation);
    if (output < (uint64)program.space.kept) {
        uint64 step = (uint64)shape.threads * shape.slices;
        for (uint64 i = (uint64)blockIdx.y * shape.threads + place.thread; i < (uint64)program.space.reduced; i += step) {
            run_program(program, output, i, registers);
            take_in(shape.operation, &mine, lane_in<Lane>(registers[program.results[0]]), (Lane)0);
        }
    }
    mine = reduce_block(shape.operation, shape.outputs, shape.threads, place, mine);
    if (place.thread == 0 && output < (uint64)program.space.kept) put(program.space, shape, output, mine);
}

KERNEL(tarn_reduce)(PARAMETER(cuda_program) program, PARAMETER(cuda_reduction) shape) {
    uint32 type = program.space.types[0];
    if (is_single(type)) reduce_program<float>(program, shape);
    else if (type == TYPE_F64) reduce_program<double>(program, shape);
    else reduce_program<int64>(program, shape);
}

template <class Lane> DEVICE void finish(const cuda_space &space, const cuda_reduction &shape) {
    const reduction_place place = place_of_thread(shape);
    const uint64 output = (uint64)blockIdx.x * shape.outputs + place.output;
    running<Lane> mine = begin_reduction<Lane>(shape.operation);
    for (uint32 i = place.thread; i < shape.slices && output < (uint64)space.kept; i += shape.threads) {
        cuda_partial partial = ((const cuda_partial *)shape.partial)[output * shape.slices + i];
        take_in(shape.operation, &mine, lane_in<Lane>(partial.value), lane_in<Lane>(partial.error));
    }
    mine = reduce_block(shape.operation, shape.outputs, shape.threads, place, mine);
    if (place.thread == 0 && output < (uint64)space.kept) put_whole(space, shape, output, mine);
}

/* Some threads for each output add up what its slices came to. */
KERNEL(tarn_reduce_finish)(PARAMETER(cuda_space) space, PARAMETER(cuda_reduction) shape) {
    uint32 type = space.types[0];
    if (is_single(type)) finish<float>(space, shape);
    else if (type == TYPE_F64) finish<double>(space, shape);
    else finish<int64>(space, shape);
}
