/* Matrix products, and convolutions as products (of the weights and the windows of the image, which are never written out).
 *
 * A block of 16 × 16 threads computes a tile of 64 × 64 elements, 4 × 4 by each thread, from strips of both matrices in shared
 * memory, 16 deep. Halves are computed in floats. A side says how elements of a matrix are read, and whether neighbours lie along its rows. */
#include "functions.cuh"
#include "space.cuh"

#define TILE 64
#define DEPTH 16
#define SIDE 16 /* threads */
#define EACH 4  /* TILE / SIDE */

/* One of two matrices: elements by line (the row of the first, the column of the second) and depth. */
template <class Element> struct matrix_side {
    const Element *data;
    int64 line_stride, depth_stride;
    DEVICE bool runs_along_lines() const { return line_stride == 1; }
    DEVICE typename lane_of<Element>::type read(int64 line, int64 depth) const {
        return load(data[line * line_stride + depth * depth_stride]);
    }
};

/* The windows of images: a line for each place of the result, as deep as a filter. */
template <class Element> struct window_side {
    const cuda_window *window;
    const Element *data; /* of the first channel of the group */
    DEVICE bool runs_along_lines() const { return true; }
    DEVICE typename lane_of<Element>::type read(int64 line, int64 depth) const {
        const cuda_window &w = *window;
        int64 x = line % w.out_width, y = line / w.out_width % w.out_height, image = line / (w.out_width * w.out_height);
        int64 kernel_x = depth % w.kernel_width, kernel_y = depth / w.kernel_width % w.kernel_height;
        int64 channel = depth / (w.kernel_width * w.kernel_height);
        int64 in_y = y * w.stride[0] - w.padding[0] + kernel_y * w.dilation[0];
        int64 in_x = x * w.stride[1] - w.padding[1] + kernel_x * w.dilation[1];
        if (in_y < 0 || in_y >= w.in_height || in_x < 0 || in_x >= w.in_width) return 0;
        return load(data[image * w.in_strides[0] + channel * w.in_strides[1] + in_y * w.in_strides[2] +
                         in_x * w.in_strides[3]]);
    }
};

/* Filters: a line for each, as deep as all its weights. */
template <class Element> struct filter_side {
    const cuda_window *window;
    const Element *data; /* of the first filter of the group */
    DEVICE bool runs_along_lines() const { return false; }
    DEVICE typename lane_of<Element>::type read(int64 line, int64 depth) const {
        const cuda_window &w = *window;
        int64 kernel_x = depth % w.kernel_width, kernel_y = depth / w.kernel_width % w.kernel_height;
        int64 channel = depth / (w.kernel_width * w.kernel_height);
        return load(data[line * w.weight_strides[0] + channel * w.weight_strides[1] + kernel_y * w.weight_strides[2] +
                         kernel_x * w.weight_strides[3]]);
    }
};

/* Loads a strip of TILE lines, neighbouring threads reading neighbours. */
template <class Lane, class Side>
DEVICE void load_strip(Lane strip[DEPTH][TILE + 1], const Side &side, int64 first_line, int64 lines, int64 first_depth, int64 depths) {
    ROLLED for (uint32 i = threadIdx.x; i < TILE * DEPTH; i += SIDE * SIDE) {
        uint32 line = side.runs_along_lines() ? i % TILE : i / DEPTH, depth = side.runs_along_lines() ? i / TILE : i % DEPTH;
        bool is_inside = first_line + line < lines && first_depth + depth < depths;
        strip[depth][line] = is_inside ? side.read(first_line + line, first_depth + depth) : (Lane)0;
    }
}

/* The tile of this block: sums[i][j] belongs to line first + thread's place + SIDE i of the first side, and so on. */
template <class Lane, class First, class Second>
DEVICE void multiply_tile(const First &first, const Second &second, int64 first_row, int64 rows, int64 first_column,
                          int64 columns, int64 inner, Lane sums[EACH][EACH]) {
    __shared__ Lane left[DEPTH][TILE + 1], right[DEPTH][TILE + 1];
    const uint32 thread_row = threadIdx.x / SIDE, thread_column = threadIdx.x % SIDE;
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) sums[i][j] = 0;
    for (int64 depth = 0; depth < inner; depth += DEPTH) {
        load_strip<Lane>(left, first, first_row, rows, depth, inner);
        load_strip<Lane>(right, second, first_column, columns, depth, inner);
        __syncthreads();
        for (int k = 0; k < DEPTH; k++) {
            Lane a[EACH], b[EACH];
            for (int i = 0; i < EACH; i++) a[i] = left[k][thread_row + SIDE * i];
            for (int j = 0; j < EACH; j++) b[j] = right[k][thread_column + SIDE * j];
            for (int i = 0; i < EACH; i++)
                for (int j = 0; j < EACH; j++) sums[i][j] = multiply_add(a[i], b[j], sums[i][j]);
        }
        __syncthreads();
    }
}

template <class Element> DEVICE void matmul(const cuda_matmul &product) {
    typedef typename lane_of<Element>::type Lane;
    const uint64 row_tiles = (uint64)(product.rows + TILE - 1) / TILE;
    const int64 first_row = (int64)(blockIdx.x % row_tiles) * TILE, first_column = (int64)(blockIdx.x / row_tiles) * TILE;
    const int64 *dims = product.batch_dims;
    const uint64 batch = blockIdx.y + (uint64)blockIdx.z * gridDim.y;
    uint64 batches = 1;
    for (uint32 d = 0; d < product.batch_rank; d++) batches *= (uint64)dims[d];
    if (batch >= batches) return;
    matrix_side<Element> a = {(const Element *)product.a + offset_of(batch, dims, product.a_strides, 0, product.batch_rank),
                              product.a_strides[CUDA_ROW_STRIDE], product.a_strides[CUDA_COLUMN_STRIDE]};
    matrix_side<Element> b = {(const Element *)product.b + offset_of(batch, dims, product.b_strides, 0, product.batch_rank),
                              product.b_strides[CUDA_COLUMN_STRIDE], product.b_strides[CUDA_ROW_STRIDE]};
    Element *out = (Element *)product.out + offset_of(batch, dims, product.out_strides, 0, product.batch_rank);
    const Element *bias = (const Element *)product.bias;
    if (bias != 0) bias += offset_of(batch, dims, product.bias_strides, 0, product.batch_rank);

    Lane sums[EACH][EACH];
    multiply_tile<Lane>(a, b, first_row, product.rows, first_column, product.columns, product.inner, sums);
    for (int i = 0; i < EACH; i++) {
        for (int j = 0; j < EACH; j++) {
            int64 row = first_row + threadIdx.x / SIDE + SIDE * i, column = first_column + threadIdx.x % SIDE + SIDE * j;
            if (row >= product.rows || column >= product.columns) continue;
            Lane sum = sums[i][j];
            if (bias != 0)
                sum += load(bias[row * product.bias_strides[CUDA_ROW_STRIDE] + column * product.bias_strides[CUDA_COLUMN_STRIDE]]);
            store(out + row * product.out_strides[CUDA_ROW_STRIDE] + column * product.out_strides[CUDA_COLUMN_STRIDE],
                  activate(sum, product.activation));
        }
    }
}

/* Rows are filters of a group, columns the places of all images; blocks along y are groups. */
template <class Element> DEVICE void conv2d(const cuda_window &window) {
    typedef typename lane_of<Element>::type Lane;
    const int64 filters = window.channels / window.groups, places = window.out_width * window.out_height;
    const int64 columns = window.batch * places;
    const uint64 row_tiles = (uint64)(filters + TILE - 1) / TILE;
    const int64 first_row = (int64)(blockIdx.x % row_tiles) * TILE, first_column = (int64)(blockIdx.x / row_tiles) * TILE;
    for (int64 group = blockIdx.y; group < window.groups; group += gridDim.y) {
        const int64 first_filter = group * filters;
        filter_side<Element> weights = {&window, (const Element *)window.weight + first_filter * window.weight_strides[0]};
        window_side<Element> image = {
            &window, (const Element *)window.in + group * window.in_channels * window.in_strides[1]};
        Lane sums[EACH][EACH];
        multiply_tile<Lane>(weights, image, first_row, filters, first_column, columns,
                            window.in_channels * window.kernel_height * window.kernel_width, sums);
        for (int i = 0; i < EACH; i++) {
            for (int j = 0; j < EACH; j++) {
                int64 row = first_row + threadIdx.x / SIDE + SIDE * i, column = first_column + threadIdx.x % SIDE + SIDE * j;
                if (row >= filters || column >= columns) continue;
                int64 filter = first_filter + row, place = column % places;
                Lane sum = sums[i][j];
                if (window.bias != 0) sum += load(((const Element *)window.bias)[filter * window.bias_stride]);
                store((Element *)window.out + column / places * window.out_strides[0] + filter * window.out_strides[1] +
                          place / window.out_width * window.out_strides[2] + place % window.out_width * window.out_strides[3],
                      activate(sum, window.activation));
            }
        }
    }
}

#define FOR_TYPE(name, element)                                                                \
    KERNEL(tarn_matmul_##name)(PARAMETER(cuda_matmul) product) { matmul<element>(product); } \
    KERNEL(tarn_conv2d_##name)(PARAMETER(cuda_window) window) { conv2d<element>(window); }
FOR_FLOATS(FOR_TYPE)
#undef FOR_TYPE
