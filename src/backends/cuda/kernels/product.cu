/* Matrix products, and convolutions as products (of the weights and the windows of the image, which are never written out).
 *
 * A block of 16 × 16 threads computes a tile of 128 × 64 elements, 8 × 4 by each thread (of doubles 64 × 64, 4 × 4), from strips of both matrices in shared
 * memory, 16 deep, of which there are two: while one is multiplied, what the other will hold is on its way to registers. Halves are computed in floats. A
 * side says how elements of a matrix are read: 16 bytes at once, along depth or along lines, where they lie so; one by one elsewhere. */
#include "functions.cuh"
#include "pack.cuh"
#include "space.cuh"

#define DEPTH CUDA_TILE_DEPTH
#define SIDE 16 /* threads */
#define COLUMNS_EACH CUDA_TILE_COLUMNS_EACH

/* Lines of a strip are read from shared memory 16 bytes at once, and written there by threads that hold neighbours along depth. Changing places by depth, in
 * whole reads, keeps those apart: no two of a warp fall into one bank. */
template <class Lane> DEVICE uint32 line_at(uint32 depth, uint32 line) {
    return sizeof(Lane) == 8 ? line ^ (depth & ~1u) : line ^ depth / 4 * 8;
}

/* Elements of a line in shared memory that are read as one, and the number of a thread's i-th line in its tile. */
template <class Lane> struct line_reads {
    static const int each = 16 / (int)sizeof(Lane);
};
template <class Lane> DEVICE uint32 line_of(uint32 place, int i) {
    const int each = line_reads<Lane>::each;
    return (uint32)(i / each * (SIDE * each)) + place * (uint32)each + (uint32)(i % each);
}

/* One of two matrices: elements by line (the row of the first, the column of the second) and depth. */
template <class Element> struct matrix_side {
    static const int lanes = CUDA_LANES((int)sizeof(Element));
    typedef pack<Element, CUDA_LANES(sizeof(Element))> Pack;
    const Element *data;
    int64 line_stride, depth_stride, lines, depths;
    bool runs_along_lines, is_packed;

    DEVICE void begin() {
        runs_along_lines = line_stride == 1;
        is_packed = (line_stride == 1 || depth_stride == 1) && (line_stride == 1 ? depth_stride : line_stride) % lanes == 0 &&
                    is_aligned<Element, CUDA_LANES(sizeof(Element))>(data);
    }
    DEVICE void read(int64 line, int64 depth, Pack *out) const {
        const int64 left = runs_along_lines ? lines - line : depths - depth;
        const bool is_inside = line < lines && depth < depths;
        const Element *from = data + line * line_stride + depth * depth_stride;
        if (is_inside && is_packed && left >= lanes) {
            *out = read_whole<Element, CUDA_LANES(sizeof(Element))>(from);
        } else {
            const int64 step = runs_along_lines ? line_stride : depth_stride;
            UNROLLED for (int k = 0; k < lanes; k++)
                out->elements[k] = is_inside && k < left ? from[k * step] : Element();
        }
    }
};

/* How the elements of a filter are numbered: by channel, then by place; where channels lie side by side, by place, then by channel. */
struct filter_place {
    int64 channel, y, x;
};
DEVICE filter_place find_filter_place(const cuda_window &w, int64 depth) {
    filter_place found;
    const uint64 places = (uint64)(w.kernel_height * w.kernel_width);
    uint64 place;
    if (w.channels_last) {
        place = quotient((uint64)depth, (uint64)w.in_channels);
        found.channel = depth - (int64)place * w.in_channels;
    } else {
        found.channel = (int64)quotient((uint64)depth, places);
        place = (uint64)(depth - found.channel * (int64)places);
    }
    found.y = (int64)quotient(place, (uint64)w.kernel_width);
    found.x = (int64)place - found.y * w.kernel_width;
    return found;
}

/* The windows of images: a line for each place of the result, as deep as a filter. */
template <class Element> struct window_side {
    static const int lanes = CUDA_LANES((int)sizeof(Element));
    typedef pack<Element, CUDA_LANES(sizeof(Element))> Pack;
    const cuda_window &w;
    const Element *data; /* of the first channel of the group */
    int64 lines, depths;
    bool runs_along_lines;

    DEVICE const Element *find(int64 image, int64 y, int64 x, const filter_place &at, bool *out_is_inside) const {
        const int64 in_y = y * w.stride[0] - w.padding[0] + at.y * w.dilation[0];
        const int64 in_x = x * w.stride[1] - w.padding[1] + at.x * w.dilation[1];
        *out_is_inside = in_y >= 0 && in_y < w.in_height && in_x >= 0 && in_x < w.in_width;
        return data + image * w.in_strides[0] + at.channel * w.in_strides[1] + in_y * w.in_strides[2] + in_x * w.in_strides[3];
    }
    DEVICE void read(int64 line, int64 depth, Pack *out) const {
        const bool is_there = line < lines && depth < depths;
        UNROLLED for (int k = 0; k < lanes; k++) out->elements[k] = Element();
        if (!is_there) return;
        uint64 row = quotient((uint64)line, (uint64)w.out_width);
        int64 x = line - (int64)row * w.out_width;
        int64 image = (int64)quotient(row, (uint64)w.out_height), y = (int64)row - image * w.out_height;
        filter_place at = find_filter_place(w, depth);
        bool is_inside, is_last_inside = false;
        const Element *from = find(image, y, x, at, &is_inside);
        /* One read, where all of it lies in one row of the image, or belongs to one place of the filter. */
        if (runs_along_lines) {
            if (w.stride[1] * w.in_strides[3] == 1 && x + lanes <= w.out_width) find(image, y, x + lanes - 1, at, &is_last_inside);
        } else {
            is_last_inside = w.in_strides[1] == 1 && at.channel + lanes <= w.in_channels;
        }
        if (is_inside && is_last_inside && is_aligned<Element, CUDA_LANES(sizeof(Element))>(from)) {
            *out = read_whole<Element, CUDA_LANES(sizeof(Element))>(from);
            return;
        }
        UNROLLED for (int k = 0; k < lanes; k++) {
            if (is_inside) out->elements[k] = *from;
            if (runs_along_lines) {
                if (line + k + 1 >= lines) return;
                if (++x == w.out_width) {
                    x = 0;
                    if (++y == w.out_height) {
                        y = 0;
                        image++;
                    }
                }
            } else {
                if (depth + k + 1 >= depths) return;
                at = find_filter_place(w, depth + k + 1);
            }
            from = find(image, y, x, at, &is_inside);
        }
    }
};

/* Filters: a line for each, as deep as all its weights. */
template <class Element> struct filter_side {
    static const int lanes = CUDA_LANES((int)sizeof(Element));
    typedef pack<Element, CUDA_LANES(sizeof(Element))> Pack;
    static const bool runs_along_lines = false;
    const cuda_window &w;
    const Element *data; /* of the first filter of the group */
    int64 lines, depths;
    bool is_side_by_side; /* the weights of a filter, in the order of their numbers */

    DEVICE void read(int64 line, int64 depth, Pack *out) const {
        const bool is_there = line < lines;
        const Element *from = data + line * w.weight_strides[0];
        if (is_there && is_side_by_side && depth + lanes <= depths && is_aligned<Element, CUDA_LANES(sizeof(Element))>(from + depth)) {
            *out = read_whole<Element, CUDA_LANES(sizeof(Element))>(from + depth);
            return;
        }
        UNROLLED for (int k = 0; k < lanes; k++) {
            out->elements[k] = Element();
            if (!is_there || depth + k >= depths) continue;
            const filter_place at = find_filter_place(w, depth + k);
            out->elements[k] = from[at.channel * w.weight_strides[1] + at.y * w.weight_strides[2] + at.x * w.weight_strides[3]];
        }
    }
};

/* A strip of one side, LINES wide: what each thread reads of it, and where it puts that. */
template <class Element, class Lane, int LINES> struct strip_share {
    static const int lanes = CUDA_LANES((int)sizeof(Element)), packs = LINES * DEPTH / lanes;
    static const int each = (packs + SIDE * SIDE - 1) / (SIDE * SIDE);
    pack<Element, CUDA_LANES(sizeof(Element))> held[each];

    /* The line and the depth of the thread's p-th pack within the strip. */
    DEVICE static void place(bool along_lines, int p, uint32 *out_line, uint32 *out_depth) {
        const uint32 number = threadIdx.x + (uint32)p * (SIDE * SIDE);
        const uint32 in_row = along_lines ? LINES / lanes : DEPTH / lanes;
        const uint32 across = number / in_row, along = number % in_row * lanes;
        *out_line = along_lines ? along : across;
        *out_depth = along_lines ? across : along;
    }
    DEVICE static bool has(int p) { return packs % (SIDE * SIDE) == 0 || threadIdx.x + (uint32)p * (SIDE * SIDE) < (uint32)packs; }

    template <class Side> DEVICE void read(const Side &side, int64 first_line, int64 first_depth) {
        UNROLLED for (int p = 0; p < each; p++) {
            uint32 line, depth;
            place(side.runs_along_lines, p, &line, &depth);
            if (has(p)) side.read(first_line + line, first_depth + depth, &held[p]);
        }
    }
    DEVICE void write(bool along_lines, Lane strip[DEPTH][LINES]) const {
        UNROLLED for (int p = 0; p < each; p++) {
            uint32 line, depth;
            place(along_lines, p, &line, &depth);
            if (!has(p)) continue;
            if (along_lines) {
                const int each_read = line_reads<Lane>::each;
                UNROLLED for (int k = 0; k < lanes; k += each_read) {
                    pack<Lane, line_reads<Lane>::each> lane;
                    UNROLLED for (int i = 0; i < each_read; i++) lane.elements[i] = load(held[p].elements[k + i]);
                    write_whole(&strip[depth][line_at<Lane>(depth, line + (uint32)k)], lane);
                }
            } else {
                UNROLLED for (int k = 0; k < lanes; k++)
                    strip[depth + (uint32)k][line_at<Lane>(depth + (uint32)k, line)] = load(held[p].elements[k]);
            }
        }
    }
};

/* COUNT lines of a strip at one depth. */
template <int COUNT, class Lane> DEVICE void read_lines(const Lane *row, uint32 depth, uint32 place, Lane *out) {
    const int each = line_reads<Lane>::each;
    UNROLLED for (int i = 0; i < COUNT; i += each) {
        const pack<Lane, line_reads<Lane>::each> lanes = read_whole<Lane, line_reads<Lane>::each>(row + line_at<Lane>(depth, line_of<Lane>(place, i)));
        UNROLLED for (int k = 0; k < each; k++) out[i + k] = lanes.elements[k];
    }
}

/* The tile of this block: sums[i][j] belongs to lines line_of(thread's place, i) and line_of(…, j) of the sides. */
template <class Element, int ROWS_EACH, class Lane, class First, class Second>
DEVICE void multiply_tile(const First &first, const Second &second, int64 first_row, int64 first_column, int64 inner,
                          Lane sums[ROWS_EACH][COLUMNS_EACH]) {
    alignas(16) __shared__ Lane left[2][DEPTH][SIDE * ROWS_EACH], right[2][DEPTH][SIDE * COLUMNS_EACH];
    const uint32 thread_row = threadIdx.x / SIDE, thread_column = threadIdx.x % SIDE;
    strip_share<Element, Lane, SIDE * ROWS_EACH> rows;
    strip_share<Element, Lane, SIDE * COLUMNS_EACH> columns;
    UNROLLED for (int i = 0; i < ROWS_EACH; i++)
        UNROLLED for (int j = 0; j < COLUMNS_EACH; j++) sums[i][j] = 0;
    columns.read(second, first_column, 0);
    rows.read(first, first_row, 0);
    uint32 now = 0;
    ROLLED for (int64 depth = 0; depth < inner; depth += DEPTH) {
        /* What is written was multiplied before the last barrier. */
        rows.write(first.runs_along_lines, left[now]);
        columns.write(second.runs_along_lines, right[now]);
        __syncthreads();
        if (depth + DEPTH < inner) {
            columns.read(second, first_column, depth + DEPTH);
            rows.read(first, first_row, depth + DEPTH);
        }
        UNROLLED_BY(sizeof(Lane) == 8 ? 4 : 8) for (int k = 0; k < DEPTH; k++) {
            Lane a[ROWS_EACH], b[COLUMNS_EACH];
            read_lines<ROWS_EACH>(left[now][k], (uint32)k, thread_row, a);
            read_lines<COLUMNS_EACH>(right[now][k], (uint32)k, thread_column, b);
            UNROLLED for (int i = 0; i < ROWS_EACH; i++)
                UNROLLED for (int j = 0; j < COLUMNS_EACH; j++) sums[i][j] = multiply_add(a[i], b[j], sums[i][j]);
        }
        now ^= 1;
    }
}

/* The results of a group of columns that lie side by side: one write where all are there, and aligned. */
template <class Element, int COUNT, class Lane>
DEVICE void write_results(Element *to, int64 step, int64 left, const Lane *results) {
    pack<Element, COUNT> made;
    UNROLLED for (int k = 0; k < COUNT; k++) store(&made.elements[k], results[k]);
    if (step == 1 && left >= COUNT && is_aligned<Element, COUNT>(to)) {
        write_whole(to, made);
        return;
    }
    UNROLLED for (int k = 0; k < COUNT; k++)
        if (k < left) to[k * step] = made.elements[k];
}

template <class Element, int ROWS_EACH> DEVICE void matmul(const cuda_matmul &product) {
    typedef typename lane_of<Element>::type Lane;
    const int tile_rows = SIDE * ROWS_EACH, tile_columns = SIDE * COLUMNS_EACH, each = line_reads<Lane>::each;
    const uint64 row_tiles = (uint64)(product.rows + tile_rows - 1) / tile_rows;
    const int64 first_row = (int64)(blockIdx.x % row_tiles) * tile_rows, first_column = (int64)(blockIdx.x / row_tiles) * tile_columns;
    const int64 *dims = product.batch_dims;
    const uint64 batch = blockIdx.y + (uint64)blockIdx.z * gridDim.y;
    uint64 batches = 1;
    for (uint32 d = 0; d < product.batch_rank; d++) batches *= (uint64)dims[d];
    if (batch >= batches) return;
    matrix_side<Element> a = {(const Element *)product.a + offset_of(batch, dims, product.a_strides, 0, product.batch_rank),
                              product.a_strides[CUDA_ROW_STRIDE], product.a_strides[CUDA_COLUMN_STRIDE], product.rows, product.inner, false, false};
    matrix_side<Element> b = {(const Element *)product.b + offset_of(batch, dims, product.b_strides, 0, product.batch_rank),
                              product.b_strides[CUDA_COLUMN_STRIDE], product.b_strides[CUDA_ROW_STRIDE], product.columns, product.inner, false, false};
    a.begin();
    b.begin();
    Element *out = (Element *)product.out + offset_of(batch, dims, product.out_strides, 0, product.batch_rank);
    const Element *bias = (const Element *)product.bias;
    if (bias != 0) bias += offset_of(batch, dims, product.bias_strides, 0, product.batch_rank);

    Lane sums[ROWS_EACH][COLUMNS_EACH];
    multiply_tile<Element, ROWS_EACH>(a, b, first_row, first_column, product.inner, sums);
    UNROLLED for (int i = 0; i < ROWS_EACH; i++) {
        const int64 row = first_row + line_of<Lane>(threadIdx.x / SIDE, i);
        if (row >= product.rows) continue;
        UNROLLED for (int j = 0; j < COLUMNS_EACH; j += each) {
            const int64 column = first_column + line_of<Lane>(threadIdx.x % SIDE, j), left = product.columns - column;
            UNROLLED for (int k = 0; k < each; k++) {
                if (bias != 0 && k < left)
                    sums[i][j + k] += load(bias[row * product.bias_strides[CUDA_ROW_STRIDE] + (column + k) * product.bias_strides[CUDA_COLUMN_STRIDE]]);
                if (product.activation != DO_COPY) sums[i][j + k] = activate(sums[i][j + k], product.activation);
            }
            write_results<Element, line_reads<Lane>::each>(
                out + row * product.out_strides[CUDA_ROW_STRIDE] + column * product.out_strides[CUDA_COLUMN_STRIDE],
                product.out_strides[CUDA_COLUMN_STRIDE], left, &sums[i][j]);
        }
    }
}

/* Rows are filters of a group, columns the places of all images; blocks along y are groups. */
template <class Element, int ROWS_EACH> DEVICE void conv2d(const cuda_window &window) {
    typedef typename lane_of<Element>::type Lane;
    const int tile_rows = SIDE * ROWS_EACH, tile_columns = SIDE * COLUMNS_EACH;
    const int64 filters = window.channels / window.groups, places = window.out_width * window.out_height;
    const int64 columns = window.batch * places, depths = window.in_channels * window.kernel_height * window.kernel_width;
    const uint64 row_tiles = (uint64)(filters + tile_rows - 1) / tile_rows;
    const int64 first_row = (int64)(blockIdx.x % row_tiles) * tile_rows, first_column = (int64)(blockIdx.x / row_tiles) * tile_columns;
    const bool last = window.channels_last != 0;
    const int64 *by = window.weight_strides;
    const bool is_side_by_side = last ? by[1] == 1 && by[3] == window.in_channels && by[2] == window.in_channels * window.kernel_width
                                      : by[3] == 1 && by[2] == window.kernel_width && by[1] == window.kernel_width * window.kernel_height;
    for (int64 group = blockIdx.y; group < window.groups; group += gridDim.y) {
        const int64 first_filter = group * filters;
        const filter_side<Element> weights = {window, (const Element *)window.weight + first_filter * by[0], filters, depths, is_side_by_side};
        const window_side<Element> image = {window, (const Element *)window.in + group * window.in_channels * window.in_strides[1], columns, depths, !last};
        Lane sums[ROWS_EACH][COLUMNS_EACH];
        multiply_tile<Element, ROWS_EACH>(weights, image, first_row, first_column, depths, sums);
        UNROLLED for (int j = 0; j < COLUMNS_EACH; j++) {
            const int64 column = first_column + line_of<Lane>(threadIdx.x % SIDE, j);
            if (column >= columns) continue;
            const int64 number = (int64)quotient((uint64)column, (uint64)places), place = column - number * places;
            const int64 y = (int64)quotient((uint64)place, (uint64)window.out_width), x = place - y * window.out_width;
            Element *out = (Element *)window.out + number * window.out_strides[0] + y * window.out_strides[2] + x * window.out_strides[3];
            UNROLLED for (int i = 0; i < ROWS_EACH; i++) {
                const int64 row = first_row + line_of<Lane>(threadIdx.x / SIDE, i), filter = first_filter + row;
                if (row >= filters) continue;
                Lane sum = sums[i][j];
                if (window.bias != 0) sum += load(((const Element *)window.bias)[filter * window.bias_stride]);
                if (window.activation != DO_COPY) sum = activate(sum, window.activation);
                store(out + filter * window.out_strides[1], sum);
            }
        }
        __syncthreads(); /* the next group writes what this one multiplied */
    }
}

#define FOR_TYPE(name, element)                                                                                                             \
    KERNEL(tarn_matmul_##name)(PARAMETER(cuda_matmul) product) { matmul<element, CUDA_TILE_ROWS_EACH(sizeof(element))>(product); } \
    KERNEL(tarn_conv2d_##name)(PARAMETER(cuda_window) window) { conv2d<element, CUDA_TILE_ROWS_EACH(sizeof(element))>(window); }
FOR_FLOATS(FOR_TYPE)
#undef FOR_TYPE
