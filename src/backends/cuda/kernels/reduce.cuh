/* Reducing in a fixed order: each thread adds up what is its share, and the threads of a block add up theirs in pairs.
 *
 * Sums of floats keep what each addition loses, by which their error hardly depends on their length (Knuth's two-sum). */
#ifndef CUDA_KERNELS_REDUCE_CUH
#define CUDA_KERNELS_REDUCE_CUH

#include "interpreter.cuh"

#define MOST_THREADS 256
#define ALL_LANES 0xffffffffu
#define WARP 32

template <class Lane> DEVICE Lane &lane_in(cuda_lane &lane);
template <> DEVICE float &lane_in<float>(cuda_lane &lane) { return lane.single; }
template <> DEVICE double &lane_in<double>(cuda_lane &lane) { return lane.real; }
template <> DEVICE int64 &lane_in<int64>(cuda_lane &lane) { return lane.integer; }

DEVICE void first_of(uint32 operation, float *out) {
    *out = operation == DO_MAX ? -INFINITE_FLOAT : operation == DO_MIN ? INFINITE_FLOAT : operation == DO_PROD ? 1.0f : 0.0f;
}
DEVICE void first_of(uint32 operation, double *out) {
    *out = operation == DO_MAX ? -INFINITE_DOUBLE : operation == DO_MIN ? INFINITE_DOUBLE : operation == DO_PROD ? 1.0 : 0.0;
}
DEVICE void first_of(uint32 operation, int64 *out) {
    const int64 least = (int64)(1ull << 63);
    *out = operation == DO_MAX ? least : operation == DO_MIN ? ~least : operation == DO_PROD ? 1 : 0;
}
DEVICE void first_of(uint32 operation, int *out) {
    const int least = (int)(1u << 31);
    *out = operation == DO_MAX ? least : operation == DO_MIN ? ~least : operation == DO_PROD ? 1 : 0;
}

template <class Lane> struct running {
    Lane value, error;
};

template <class Lane> DEVICE void add_up(Lane x, Lane *value, Lane *error) {
    Lane sum = *value + x;
    Lane part = sum - *value;
    *error += (*value - (sum - part)) + (x - part);
    *value = sum;
}
DEVICE void add_up(int64 x, int64 *value, int64 *) { *value = compute_add(*value, x); }

template <class Lane> DEVICE void take_in(uint32 operation, running<Lane> *all, Lane value, Lane error) {
    switch (operation) {
    case DO_PROD: all->value = compute_multiply(all->value, value); break;
    case DO_MAX: all->value = compute_maximum(all->value, value); break;
    case DO_MIN: all->value = compute_minimum(all->value, value); break;
    default:
        add_up(value, &all->value, &all->error);
        all->error = compute_add(all->error, error);
        break;
    }
}

/* The sum with what was lost; infinite sums have lost something that is no number. */
template <class Lane> DEVICE Lane whole_of(running<Lane> all) {
    Lane whole = all.value + all.error;
    return whole == whole ? whole : all.value;
}
DEVICE int64 whole_of(running<int64> all) { return all.value; }

template <class Lane> DEVICE running<Lane> begin_reduction(uint32 operation) {
    running<Lane> all;
    first_of(operation, &all.value);
    all.error = 0;
    return all;
}

/* Which output of the block's group a thread works for, and which of that output's threads it is. */
struct reduction_place {
    uint32 output, thread;
};
DEVICE reduction_place place_of_thread(const cuda_reduction &shape) {
    reduction_place place;
    if (shape.runs_along_kept) {
        place.output = threadIdx.x % shape.outputs;
        place.thread = threadIdx.x / shape.outputs;
    } else {
        place.output = threadIdx.x / shape.threads;
        place.thread = threadIdx.x % shape.threads;
    }
    return place;
}

/* Adds up what each `near` threads that are neighbours have, a power of two and at most a warp, in pairs; the first of them gets the whole. The block
 * has whole warps, and all of its threads come here. */
template <class Lane> DEVICE running<Lane> reduce_near(uint32 operation, uint32 near, running<Lane> mine) {
    ROLLED for (uint32 left = near / 2; left > 0; left /= 2) {
        const Lane value = __shfl_down_sync(ALL_LANES, mine.value, left, WARP);
        const Lane error = __shfl_down_sync(ALL_LANES, mine.error, left, WARP);
        take_in(operation, &mine, value, error);
    }
    return mine;
}

/* Adds up what the threads of each output have, in pairs; the first of them gets the whole. */
template <class Lane>
DEVICE running<Lane> reduce_block(uint32 operation, uint32 outputs, uint32 threads, reduction_place place, running<Lane> mine) {
    __shared__ cuda_partial shared[MOST_THREADS];
    cuda_partial *row = shared + place.output;
    for (uint32 left = threads / 2; left > 0; left /= 2) {
        __syncthreads();
        if (place.thread >= left && place.thread < 2 * left) {
            lane_in<Lane>(row[place.thread * outputs].value) = mine.value;
            lane_in<Lane>(row[place.thread * outputs].error) = mine.error;
        }
        __syncthreads();
        if (place.thread < left) {
            cuda_partial other = row[(place.thread + left) * outputs];
            take_in(operation, &mine, lane_in<Lane>(other.value), lane_in<Lane>(other.error));
        }
    }
    return mine;
}

/* Writes what an output came to, or, where it has several slices, what this one did. */
template <class Lane> DEVICE void put_whole(const cuda_space &space, const cuda_reduction &shape, uint64 output, running<Lane> all) {
    cuda_lane result;
    result.integer = 0;
    Lane whole = whole_of(all);
    if (shape.operation == DO_MEAN) whole = compute_divide(whole, (Lane)space.reduced);
    lane_in<Lane>(result) = whole;
    write_lane(space.data[0], offset_of(output, space.dims, space.strides[0], 0, space.kept_rank), space.types[0], result);
}

template <class Lane> DEVICE void put(const cuda_space &space, const cuda_reduction &shape, uint64 output, running<Lane> all) {
    if (shape.slices == 1) {
        put_whole(space, shape, output, all);
        return;
    }
    cuda_partial *partial = (cuda_partial *)shape.partial + output * shape.slices + blockIdx.y;
    lane_in<Lane>(partial->value) = all.value;
    lane_in<Lane>(partial->error) = all.error;
}

#endif
