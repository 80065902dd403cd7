/* Products: which kernels compute them, and in which parts.
 *
 * A product is computed in slabs. Both matrices of a slab are packed into panels in scratch memory, and then multiplied, which is two launches. Slabs are
 * as large as scratch memory of a fixed size lets them be, so that matrices may have any size, and a convolution takes no more memory than a small
 * product. On processors a convolution's right panels are not in scratch memory: who multiplies one packs it into local memory. A product that is too small or too narrow for this is computed from the matrices as they lie, in one launch. */
#include "backends/opencl/opencl_product.h"

#include <stdio.h>

#include "backends/opencl/opencl_clblast.h"

/* Elements of the result that a group of kernels/tiles.cl has along a side. */
#define TILE 64
/* Depths that one item, or group, packs. */
#define REGISTER_CHUNK 64
#define TILE_CHUNK 16
/* Multiplications up to which one launch from where the matrices lie is faster than two. */
#define FEW_MULTIPLICATIONS 32768
/* Depths of a panel in local memory that are worth it, where that has no room for all. */
#define LEAST_FUSED 256
/* Right panels for each processor, so that all have something to do to the end. */
#define PANELS_EACH 4
/* Rows below which packing costs more than it saves. */
#define FEW_ROWS 4

/* As in kernels/product.cl. */
typedef struct slab {
    cl_long batch, row, column, depth;
    cl_long rows, columns, depths;
    cl_long padded;
    cl_long left_panels, right_panels, packed_left;
    cl_long right_at, sums_at;
    cl_long is_first, is_last;
} slab;

/* What a device's kernels are like for one type, and how large slabs are. */
typedef struct product_layout {
    size_t element;                          /* bytes of what is computed with */
    int left, right, chunk;                  /* of panels */
    size_t group;                            /* work-items */
    int width;                               /* elements of a vector */
    bool is_fused;                           /* whoever multiplies a right panel has packed it, into local memory */
    int64_t matrices, rows, columns, depths; /* of a slab, at most */
} product_layout;

static int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t greatest_of(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* How many depths of a right panel half of the local memory has room for: the rest is the driver's. */
static int64_t local_depths(const tarn_backend_device *device, const product_layout *layout) {
    return (int64_t)(device->local_size / 2 / (size_t)layout->right / layout->element);
}

/* Where a group is one item and its local memory the cache of the processor that runs it, and there is a panel for each processor, several times
 * over. */
static bool may_fuse(const opencl_product *product, const product_layout *layout) {
    const tarn_backend_device *device = product->call->device;
    const int64_t panels = product->matrices * divide_up(product->n, layout->right);
    return product->image != NULL && device->is_processor && device->product_way == OPENCL_PRODUCT_REGISTERS &&
           panels >= PANELS_EACH * (int64_t)device->compute_units;
}

/* A slab's panels fit into scratch memory of 2 × side × depth elements: on processors, into their caches. */
static void choose_slabs(const opencl_product *product, product_layout *inout_layout) {
    const int64_t side = product->call->device->is_processor ? 1024 : 2048, room = side * 2048;
    const int64_t longer = greatest_of(greatest_of(product->m, product->n), TILE);
    inout_layout->depths = least_of(product->k, room / least_of(longer, side));
    const int64_t near = local_depths(product->call->device, inout_layout);
    inout_layout->is_fused = may_fuse(product, inout_layout) && (near >= inout_layout->depths || near >= LEAST_FUSED);
    if (inout_layout->is_fused) inout_layout->depths = least_of(inout_layout->depths, near);
    const int64_t most = greatest_of(room / inout_layout->depths / TILE * TILE, TILE);
    inout_layout->rows = least_of(product->m, most);
    /* Right panels that are in local memory take no room, but what has been added up does. */
    const bool has_all = inout_layout->is_fused && inout_layout->depths == product->k;
    inout_layout->columns = has_all ? product->n : least_of(product->n, most);
    const int64_t one =
        (has_all ? inout_layout->rows : greatest_of(inout_layout->rows, inout_layout->columns)) * inout_layout->depths;
    inout_layout->matrices = least_of(product->matrices, greatest_of(room / one, 1));
}

static product_layout choose_layout(const opencl_product *product) {
    const tarn_backend_device *device = product->call->device;
    product_layout chosen = {.element = product->call->form.type == TARN_ELEMENT_F64 ? sizeof(double) : sizeof(float)};
    size_t width = device->vector_bytes / chosen.element;
    chosen.width = width >= 16 ? 16 : width >= 8 ? 8 : 4;
    if (device->product_way == OPENCL_PRODUCT_TILES) {
        chosen.group = OPENCL_GROUP;
        chosen.left = chosen.right = TILE;
        /* Two groups at a time, so that one computes while the other waits for memory. */
        chosen.chunk = TILE_CHUNK;
        while (chosen.chunk > 8 && 4 * (size_t)(chosen.chunk * TILE) * chosen.element > device->local_size)
            chosen.chunk /= 2;
    } else {
        /* Processors run a group's items one after the other. Vectors of 64 bytes come with 32 registers. */
        chosen.group = device->is_processor ? 1 : OPENCL_GROUP;
        chosen.left = device->vector_bytes >= 64 ? 8 : 4;
        chosen.right = 2 * chosen.width;
        chosen.chunk = REGISTER_CHUNK;
    }
    choose_slabs(product, &chosen);
    return chosen;
}

/* As ACTIVATE in the kernels has it. */
static int activation_of(tarn_operation operation) {
    switch (operation) {
    case TARN_OPERATION_RELU: return 1;
    case TARN_OPERATION_SIGMOID: return 2;
    case TARN_OPERATION_TANH: return 3;
    default: return 0;
    }
}

static void add_arguments(const opencl_product *product, opencl_launch *launch) {
    const tarn_operand *operands = product->call->operation->operands;
    for (int i = 0; i < 4; i++) opencl_launch_address(launch, operands[i < 3 || product->has_bias ? i : 1].data);
    opencl_launch_value(launch, &product->batch, sizeof product->batch);
    opencl_launch_value(launch, product->strides, sizeof product->strides);
    if (product->image != NULL) opencl_launch_value(launch, product->image, sizeof *product->image);
    opencl_launch_long(launch, product->has_bias);
}

/* The other launches of a product. */
typedef struct packed_work {
    const opencl_product *product;
    const product_layout *layout;
    opencl_compiled *compiled;
    cl_mem scratch;
} packed_work;

static tarn_status launch_packed(const packed_work *work, const slab *part, int kernel, int64_t items, int64_t second) {
    const opencl_neural_call *call = work->product->call;
    opencl_launch launch = opencl_launch_begin(call->device, call->stream, work->compiled, kernel);
    add_arguments(work->product, &launch);
    opencl_launch_buffer(&launch, work->scratch);
    opencl_launch_value(&launch, part, sizeof *part);
    if (work->layout->is_fused && kernel == 1)
        opencl_launch_local(&launch, (size_t)(work->layout->right * part->depths) * work->layout->element);
    /* In kernels/tiles.cl a group does what elsewhere an item does. */
    const bool has_group_each = call->device->product_way == OPENCL_PRODUCT_TILES;
    size_t groups = has_group_each ? (size_t)items : (size_t)divide_up(items, (int64_t)work->layout->group);
    return opencl_launch_enqueue(&launch, groups, work->layout->group, (size_t)second);
}

static tarn_status run_slab(const packed_work *work, slab *part, int64_t matrices) {
    int64_t chunks = divide_up(part->padded, work->layout->chunk);
    const bool is_fused = work->layout->is_fused;
    const int64_t packed = part->packed_left + (is_fused ? 0 : part->right_panels);
    tarn_status status = packed == 0 ? TARN_OK : launch_packed(work, part, 0, packed, matrices * chunks);
    if (status != TARN_OK) return status;
    return launch_packed(work, part, 1, (is_fused ? 1 : part->left_panels) * part->right_panels, matrices);
}

/* Rows of slabs: the left panels stay where they are while the columns change, unless a result takes several slabs along k. */
static tarn_status run_rows(const packed_work *work, slab *part, int64_t matrices) {
    const opencl_product *product = work->product;
    const product_layout *layout = work->layout;
    part->rows = least_of(layout->rows, product->m - part->row);
    part->left_panels = divide_up(part->rows, layout->left);
    tarn_status status = TARN_OK;
    for (part->column = 0; status == TARN_OK && part->column < product->n; part->column += layout->columns) {
        part->columns = least_of(layout->columns, product->n - part->column);
        part->right_panels = divide_up(part->columns, layout->right);
        for (part->depth = 0; status == TARN_OK && part->depth < product->k; part->depth += layout->depths) {
            part->depths = least_of(layout->depths, product->k - part->depth);
            part->is_first = part->depth == 0;
            part->is_last = part->depth + part->depths == product->k;
            part->packed_left = part->column == 0 || layout->depths < product->k ? part->left_panels : 0;
            status = run_slab(work, part, matrices);
        }
    }
    return status;
}

/* Must be called with the stream's scratch lock held. */
static tarn_status run_packed_locked(packed_work *work) {
    const opencl_product *product = work->product;
    const product_layout *layout = work->layout;
    const int64_t left = divide_up(layout->rows, layout->left), right = divide_up(layout->columns, layout->right);
    const bool has_sums = layout->depths < product->k;
    slab part = {.padded = divide_up(layout->depths, layout->chunk) * layout->chunk};
    part.right_at = layout->matrices * left * layout->left * part.padded;
    part.sums_at = part.right_at + (layout->is_fused ? 0 : layout->matrices * right * layout->right * part.padded);
    const int64_t sums = has_sums ? layout->matrices * left * layout->left * right * layout->right : 0;
    tarn_status status =
        opencl_stream_scratch(product->call->stream, (size_t)(part.sums_at + sums) * layout->element, &work->scratch);
    for (; status == TARN_OK && part.batch < product->matrices; part.batch += layout->matrices) {
        const int64_t matrices = least_of(layout->matrices, product->matrices - part.batch);
        for (part.row = 0; status == TARN_OK && part.row < product->m; part.row += layout->rows)
            status = run_rows(work, &part, matrices);
    }
    return status;
}

static tarn_status run_packed(const opencl_product *product, const product_layout *layout) {
    tarn_backend_stream *stream = product->call->stream;
    const bool has_tiles = product->call->device->product_way == OPENCL_PRODUCT_TILES;
    char choices[192];
    snprintf(
        choices, sizeof choices,
        "%s%s#define ACTIVATION %d\n#define GROUP %zu\n#define LEFT %d\n#define RIGHT %d\n#define WIDTH %d\n#define CHUNK %d\n",
        has_tiles ? "#define TILES\n" : "", layout->is_fused ? "#define FUSED\n" : "",
        activation_of(product->activation), layout->group, layout->left, layout->right, layout->width, layout->chunk);
    opencl_neural_call call = *product->call;
    call.form.choices = choices;
    call.form.texts[0] = opencl_source_product;
    call.form.texts[1] = opencl_source_pack;
    call.form.texts[2] = has_tiles ? opencl_source_tiles : opencl_source_registers;
    packed_work work = {.product = product, .layout = layout};
    tarn_status status = opencl_neural_compile(&call, &work.compiled);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&stream->scratch_lock);
    status = run_packed_locked(&work);
    pthread_mutex_unlock(&stream->scratch_lock);
    return status;
}

/* A program with one kernel, an item for each of `items` in each matrix. */
static tarn_status run_single(const opencl_product *product, const char *choices, const char *text, size_t group,
                              int64_t items) {
    opencl_neural_call call = *product->call;
    opencl_compiled *compiled;
    call.form.choices = choices;
    call.form.texts[0] = opencl_source_product;
    call.form.texts[1] = text;
    tarn_status status = opencl_neural_compile(&call, &compiled);
    if (status != TARN_OK) return status;
    opencl_launch launch = opencl_launch_begin(call.device, call.stream, compiled, 0);
    add_arguments(product, &launch);
    opencl_launch_long(&launch, product->m);
    opencl_launch_long(&launch, product->n);
    opencl_launch_long(&launch, product->k);
    return opencl_launch_enqueue(&launch, (size_t)divide_up(items, (int64_t)group), group, (size_t)product->matrices);
}

/* Both matrices lie side by side along k. */
static bool is_deep(const opencl_product *product) {
    return product->image == NULL && product->strides[1][1] == 1 && product->strides[2][0] == 1;
}

/* The right matrix does along its rows. */
static bool is_side_by_side(const opencl_product *product) {
    return product->image == NULL && !is_deep(product) && product->strides[2][1] == 1;
}

static tarn_status run_direct(const opencl_product *product, const product_layout *layout) {
    const int64_t across =
        product->image != NULL || is_deep(product) ? product->n : divide_up(product->n, layout->width);
    const size_t group = product->call->device->is_processor ? 1 : OPENCL_GROUP;
    char choices[160];
    snprintf(choices, sizeof choices, "#define DIRECT\n%s#define ACTIVATION %d\n#define GROUP %zu\n#define WIDTH %d\n",
             is_deep(product)           ? "#define DEEP\n"
             : is_side_by_side(product) ? "#define SIDE_BY_SIDE\n"
                                        : "",
             activation_of(product->activation), group, layout->width);
    return run_single(product, choices, opencl_source_direct, group, product->m * across);
}

/* The bias and the activation of a product that CLBlast has computed. */
static tarn_status run_epilogue(const opencl_product *product, const product_layout *layout) {
    if (!product->has_bias && product->activation == TARN_OPERATION_COPY) return TARN_OK;
    char choices[160];
    snprintf(choices, sizeof choices, "#define EPILOGUE\n#define ACTIVATION %d\n#define GROUP %zu\n",
             activation_of(product->activation), layout->group);
    return run_single(product, choices, opencl_source_epilogue, layout->group, product->m * product->n);
}

/* Without overflow. */
static bool is_small(const opencl_product *product) {
    const int64_t most = FEW_MULTIPLICATIONS;
    return product->m <= most && product->n <= most / product->m && product->k <= most / product->m / product->n;
}

tarn_status opencl_product_run(const opencl_product *product) {
    const product_layout chosen = choose_layout(product);
    const bool is_narrow =
        product->m < FEW_ROWS && (product->image != NULL || is_deep(product) || is_side_by_side(product));
    bool is_done;
    tarn_status status = opencl_clblast_run(product, &is_done);
    if (status != TARN_OK) return status;
    if (is_done) return run_epilogue(product, &chosen);
    return is_narrow || is_small(product) ? run_direct(product, &chosen) : run_packed(product, &chosen);
}
