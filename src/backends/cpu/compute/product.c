/* The product of two matrices: tiles of the result are the tasks of the pool. */
#include "backends/cpu/compute/product.h"

#include <string.h>

#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/scratch.h"
#include "backends/cpu/compute/threads.h"
#include "base/checked.h"

/* A tile's sums and its two pieces are to lie in the cache of one processor, of which there is commonly 1 MiB. */
#define MOST_ROWS 240
#define MOST_COLUMNS 512
#define MOST_INNERS 256
/* Multiplications that are worth a thread of their own. */
#define LEAST_WORK ((size_t)1 << 17)

typedef struct product_job {
    const cpu_product *product;
    const cpu_product_kernels *kernels;
    size_t panel_columns, element_size;
    size_t tile_rows, tile_columns; /* of a tile, multiples of what the kernel computes at once */
    size_t tile_inners;
    size_t row_tiles, column_tiles;
    cpu_scratch scratch; /* for each thread the sums of a tile, then its left piece and its right one */
    size_t left_offset, right_offset;
} product_job;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t parts_of(size_t count, size_t size) { return (count + size - 1) / size; }

/* The size of a tile when `count` is cut into `parts` about equal ones, in multiples of `unit`. */
static size_t even_part(size_t count, size_t parts, size_t unit) {
    return parts_of(parts_of(count, parts), unit) * unit;
}

static void choose_tiles(product_job *job, unsigned width) {
    const cpu_product *product = job->product;
    size_t unit_rows = job->kernels->rows, unit_columns = job->panel_columns;
    size_t row_parts = parts_of(product->rows, MOST_ROWS), column_parts = parts_of(product->columns, MOST_COLUMNS);
    job->tile_inners = parts_of(product->inners, parts_of(product->inners, MOST_INNERS));
    for (;;) {
        job->tile_rows = even_part(product->rows, row_parts, unit_rows);
        job->tile_columns = even_part(product->columns, column_parts, unit_columns);
        job->row_tiles = parts_of(product->rows, job->tile_rows);
        job->column_tiles = parts_of(product->columns, job->tile_columns);
        size_t work = job->tile_rows * job->tile_columns * product->inners;
        if (width == 1 || work < 2 * LEAST_WORK) return;
        if (product->matrices * job->row_tiles * job->column_tiles >= 2 * (size_t)width) return;
        if (job->tile_columns > unit_columns && job->tile_columns >= job->tile_rows) column_parts++;
        else if (job->tile_rows > unit_rows) row_parts++;
        else return;
    }
}

/* Multiplies two packed pieces into the sums of the tile. */
static void add_pieces(const product_job *job, size_t inners, size_t row_panels, size_t column_panels, const char *left,
                       const char *right, char *sums) {
    const cpu_product_kernels *kernels = job->kernels;
    for (size_t row = 0; row < row_panels; row++) {
        for (size_t column = 0; column < column_panels; column++) {
            const void *from_left = left + row * kernels->rows * inners * job->element_size;
            const void *from_right = right + column * job->panel_columns * inners * job->element_size;
            void *tile =
                sums + (row * kernels->rows * job->tile_columns + column * job->panel_columns) * job->element_size;
            if (job->product->is_double) kernels->doubles(inners, from_left, from_right, tile, job->tile_columns);
            else kernels->floats(inners, from_left, from_right, tile, job->tile_columns);
        }
    }
}

static void compute_tile(const product_job *job, size_t matrix, size_t row, size_t column, char *memory) {
    const cpu_product *product = job->product;
    size_t rows = smaller(job->tile_rows, product->rows - row);
    size_t columns = smaller(job->tile_columns, product->columns - column);
    size_t row_panels = parts_of(rows, job->kernels->rows), column_panels = parts_of(columns, job->panel_columns);
    memset(memory, 0, row_panels * job->kernels->rows * job->tile_columns * job->element_size);
    for (size_t inner = 0; inner < product->inners; inner += job->tile_inners) {
        size_t inners = smaller(job->tile_inners, product->inners - inner);
        cpu_product_piece left = {matrix, row, rows, inner, inners, job->kernels->rows};
        cpu_product_piece right = {matrix, column, columns, inner, inners, job->panel_columns};
        product->pack_left(product->context, &left, memory + job->left_offset);
        product->pack_right(product->context, &right, memory + job->right_offset);
        add_pieces(job, inners, row_panels, column_panels, memory + job->left_offset, memory + job->right_offset,
                   memory);
    }
    for (size_t i = 0; i < rows; i++)
        product->store(product->context, matrix, row + i, column, columns,
                       memory + i * job->tile_columns * job->element_size);
}

static void compute_tiles(void *context, size_t begin, size_t end) {
    product_job *job = context;
    char *memory = cpu_scratch_take(&job->scratch);
    for (size_t task = begin; task < end; task++) {
        size_t row = task % job->row_tiles, rest = task / job->row_tiles;
        compute_tile(job, rest / job->column_tiles, row * job->tile_rows, rest % job->column_tiles * job->tile_columns,
                     memory);
    }
    cpu_scratch_give(&job->scratch, memory);
}

tarn_status cpu_product_run(const cpu_product *product) {
    product_job job = {.product = product, .kernels = cpu_kernels_get()->product};
    job.panel_columns = product->is_double ? job.kernels->double_columns : job.kernels->float_columns;
    job.element_size = product->is_double ? sizeof(double) : sizeof(float);
    choose_tiles(&job, cpu_parallel_width());
    job.left_offset = round_up(job.tile_rows * job.tile_columns * job.element_size, CPU_SCRATCH_ALIGNMENT);
    job.right_offset =
        job.left_offset + round_up(job.tile_rows * job.tile_inners * job.element_size, CPU_SCRATCH_ALIGNMENT);
    size_t size = job.right_offset + job.tile_columns * job.tile_inners * job.element_size;
    size_t tasks = product->matrices * job.row_tiles * job.column_tiles;
    tarn_status status = cpu_scratch_begin(&job.scratch, size, tasks);
    if (status != TARN_OK) return status;
    size_t work = job.tile_rows * job.tile_columns * product->inners;
    cpu_parallel(tasks, parts_of(LEAST_WORK, work), compute_tiles, &job);
    cpu_scratch_end(&job.scratch);
    return TARN_OK;
}
