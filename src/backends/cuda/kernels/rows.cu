/* Softmax and layer norm: rows of elements, each normalized by figures of its own. Some threads of a block share a row, each with every so
 * many of its elements; what they find is combined in pairs, in one order. */
#include "reduce.cuh"

/* Where a thread works: in which row, if there is one, and as which of the row's threads. */
struct row_place {
    reduction_place place;
    uint64 row;
    bool is_there;
};
DEVICE row_place find_row(const cuda_rows &shape) {
    row_place found;
    found.place.output = threadIdx.x / shape.threads;
    found.place.thread = threadIdx.x % shape.threads;
    found.row = (uint64)blockIdx.x * shape.block_rows + found.place.output;
    found.is_there = found.row < (uint64)shape.rows;
    return found;
}

template <class Lane> DEVICE Lane compute_whole(const cuda_rows &shape, row_place at, uint32 operation, running<Lane> mine) {
    __shared__ cuda_lane whole[MOST_THREADS];
    mine = reduce_block(operation, shape.block_rows, shape.threads, at.place, mine);
    __syncthreads();
    if (at.place.thread == 0) lane_in<Lane>(whole[at.place.output]) = whole_of(mine);
    __syncthreads();
    return lane_in<Lane>(whole[at.place.output]);
}

DEVICE int64 row_offset(const cuda_rows &shape, row_place at, const int64 *strides) {
    return at.is_there ? offset_of(at.row, shape.dims, strides, 0, shape.row_rank) : 0;
}
DEVICE int64 place_in_row(const cuda_rows &shape, uint64 number, const int64 *strides) {
    return offset_of(number, shape.dims, strides, shape.row_rank, shape.rank);
}

template <class Element> DEVICE void softmax(const cuda_rows &shape) {
    typedef typename lane_of<Element>::type Lane;
    row_place at = find_row(shape);
    const Element *in = (const Element *)shape.in + row_offset(shape, at, shape.in_strides);
    Element *out = (Element *)shape.out + row_offset(shape, at, shape.out_strides);
    uint64 length = at.is_there ? (uint64)shape.length : 0;

    running<Lane> mine = begin_reduction<Lane>(DO_MAX);
    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        take_in(DO_MAX, &mine, load(in[place_in_row(shape, i, shape.in_strides)]), (Lane)0);
    /* What a maximum has lost is nothing, and added to an infinity it changes nothing. */
    Lane maximum = compute_whole(shape, at, DO_MAX, mine);

    mine = begin_reduction<Lane>(DO_SUM);
    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        take_in(DO_SUM, &mine, compute_exp(load(in[place_in_row(shape, i, shape.in_strides)]) - maximum), (Lane)0);
    Lane sum = compute_whole(shape, at, DO_SUM, mine);

    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        store(out + place_in_row(shape, i, shape.out_strides),
              compute_exp(load(in[place_in_row(shape, i, shape.in_strides)]) - maximum) / sum);
}

template <class Element> DEVICE void layer_norm(const cuda_rows &shape) {
    typedef typename lane_of<Element>::type Lane;
    row_place at = find_row(shape);
    const Element *in = (const Element *)shape.in + row_offset(shape, at, shape.in_strides);
    Element *out = (Element *)shape.out + row_offset(shape, at, shape.out_strides);
    const Element *weight = (const Element *)shape.weight, *bias = (const Element *)shape.bias;
    uint64 length = at.is_there ? (uint64)shape.length : 0;

    running<Lane> mine = begin_reduction<Lane>(DO_SUM);
    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        take_in(DO_SUM, &mine, load(in[place_in_row(shape, i, shape.in_strides)]), (Lane)0);
    Lane mean = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;

    mine = begin_reduction<Lane>(DO_SUM);
    for (uint64 i = at.place.thread; i < length; i += shape.threads) {
        Lane difference = load(in[place_in_row(shape, i, shape.in_strides)]) - mean;
        take_in(DO_SUM, &mine, difference * difference, (Lane)0);
    }
    Lane variance = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;
    Lane root = compute_sqrt(variance + (Lane)shape.epsilon);

    for (uint64 i = at.place.thread; i < length; i += shape.threads) {
        Lane value = (load(in[place_in_row(shape, i, shape.in_strides)]) - mean) / root;
        if (weight != 0) value *= load(weight[place_in_row(shape, i, shape.weight_strides)]);
        if (bias != 0) value += load(bias[place_in_row(shape, i, shape.bias_strides)]);
        store(out + place_in_row(shape, i, shape.out_strides), value);
    }
}

#define FOR_TYPE(name, function, element) \
    KERNEL(name)(PARAMETER(cuda_rows) shape) { function<element>(shape); }
FOR_TYPE(tarn_softmax_f32, softmax, float)
FOR_TYPE(tarn_softmax_f16, softmax, half16)
FOR_TYPE(tarn_softmax_bf16, softmax, bfloat16)
FOR_TYPE(tarn_softmax_f64, softmax, double)
FOR_TYPE(tarn_layer_norm_f32, layer_norm, float)
FOR_TYPE(tarn_layer_norm_f16, layer_norm, half16)
FOR_TYPE(tarn_layer_norm_bf16, layer_norm, bfloat16)
FOR_TYPE(tarn_layer_norm_f64, layer_norm, double)
#undef FOR_TYPE
