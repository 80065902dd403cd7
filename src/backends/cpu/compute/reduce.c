/* Reductions.
 *
 * The dimensions are put in an order in which either the columns of tiles are reduced, so that a tile, or each of its rows, is folded to one
 * number; or the columns are kept and the rows are added up column by column. Either way, what a tile gives goes into accumulators of double or
 * I64, sums together with what their additions lose. So the error of a sum is that of one block of it.
 *
 * The results that one tile of kept elements has are a group. Where there are few groups, each is reduced in pieces, which are then added in
 * order. Pieces depend on the sizes alone: the result is the same on any number of threads. */
#include <math.h>
#include <string.h>

#include "backends/cpu/compute/plan.h"
#include "backends/cpu/compute/threads.h"
#include "backends/cpu/cpu_internal.h"
#include "base/memory.h"

/* Accumulators of a group, and lanes that are made wide at once. */
#define MOST_RESULTS 1024
/* Columns of a tile that is in scratch memory, so that it has several rows, and rows of one that is where its elements are. */
#define PACKED_COLUMNS 512
#define ROWS_IN_PLACE 65
/* Columns shorter than this are not worth a row of their own. */
#define SHORT_COLUMNS 32
/* Lanes of a tile that is folded to one number, as far as scratch memory has room for them: to go on to the next tile costs as much as to
 * fold a thousand. */
#define LONG_ROW 65536
/* Pieces altogether, and lanes of one at least. */
#define MOST_PIECES 128
#define LEAST_PIECE 65536

typedef union accumulator {
    double floating;
    int64_t integer;
} accumulator;

typedef struct accumulators {
    accumulator values[MOST_RESULTS];
    double errors[MOST_RESULTS];
} accumulators;

/* Dimensions of one sort, the innermost last. */
typedef struct dim_list {
    uint32_t count;
    uint32_t dims[TARN_MAXIMUM_RANK + 1];
} dim_list;

typedef struct reduction {
    cpu_plan plan;
    unsigned fold;      /* the reduction, counted from SUM on */
    uint8_t reg;        /* of the value that is reduced */
    bool is_floating;   /* the accumulators are */
    bool keeps_columns; /* and the rows are reduced */
    bool keeps_rows;    /* and the columns are reduced */
    const cpu_access
        *in_place; /* an input whose elements are lanes and what is reduced, with columns side by side; else NULL */
    dim_list kept, reduced; /* of the plan */
    double count;           /* elements of one result */
    size_t groups, tiles;   /* tiles of one group */
    size_t pieces, piece_tiles;
    size_t results;      /* of a group at most */
    accumulator *values; /* of pieces, where a group has several: `results` each; errors likewise */
    double *errors;
} reduction;

static int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

/* The input that changes along most of the space. */
static const tarn_operand *find_main_input(const tarn_backend_operation *operation) {
    const tarn_operand *best = NULL;
    double most = -1;
    for (uint32_t i = 0; i < operation->input_count; i++) {
        const tarn_operand *input = &operation->operands[operation->output_count + i];
        double extent = 1;
        for (uint32_t k = 0; k < input->rank; k++) extent *= input->strides[k] != 0 ? (double)input->dims[k] : 1;
        if (extent > most) {
            most = extent;
            best = input;
        }
    }
    return best;
}

static void add_dim(dim_list *list, uint32_t dim) { list->dims[list->count++] = dim; }

/* By strides, the least last. */
static void insert_dim(dim_list *list, uint32_t dim, const tarn_operand *main_input) {
    uint32_t place = list->count++;
    for (; place > 0 && main_input != NULL; place--) {
        uint32_t before = list->dims[place - 1];
        if (magnitude(main_input->strides[before]) >= magnitude(main_input->strides[dim])) break;
        list->dims[place] = before;
    }
    list->dims[place] = dim;
}

static void take_dims(cpu_order *order, const dim_list *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) order->dims[order->count++] = list->dims[i];
}

static int64_t stride_of_last(const dim_list *list, const tarn_operand *main_input) {
    if (list->count == 0) return INT64_MAX;
    return main_input != NULL ? magnitude(main_input->strides[list->dims[list->count - 1]]) : 0;
}

/* Chooses what columns and rows are. */
static void find_order(const tarn_backend_operation *operation, cpu_order *order, reduction *work) {
    const tarn_operand *output = &operation->operands[0], *main_input = find_main_input(operation);
    dim_list kept = {.count = 0}, reduced = {.count = 0};
    for (uint32_t i = 0; i < output->rank; i++) {
        if (output->dims[i] == 1) continue;
        bool is_reduced = (operation->program->reduced_dims >> i & 1) != 0;
        insert_dim(is_reduced ? &reduced : &kept, i, main_input);
    }
    int64_t kept_stride = stride_of_last(&kept, main_input), reduced_stride = stride_of_last(&reduced, main_input);
    int64_t kept_extent = kept.count > 0 ? output->dims[kept.dims[kept.count - 1]] : 0;
    int64_t reduced_extent = reduced.count > 0 ? output->dims[reduced.dims[reduced.count - 1]] : 0;
    bool keeps_columns = kept_stride < reduced_stride;
    if (keeps_columns && kept_extent < SHORT_COLUMNS && reduced_extent > kept_extent) keeps_columns = false;
    else if (!keeps_columns && reduced_extent < SHORT_COLUMNS && kept_extent > reduced_extent) keeps_columns = true;
    *order = (cpu_order){.most = MOST_RESULTS, .most_columns = MOST_RESULTS};
    work->keeps_columns = keeps_columns || reduced.count == 0;
    const dim_list *columns = work->keeps_columns ? &kept : &reduced, *rows = work->keeps_columns ? &reduced : &kept;
    order->has_one_row = work->keeps_columns && rows->count == 0;
    order->is_turned = rows->count > 0 && columns->count > 0 &&
                       (work->keeps_columns ? reduced_stride < kept_stride : kept_stride < reduced_stride);
    if (work->keeps_columns && rows->count > 0 && !order->is_turned) {
        order->most = 0;
        order->most_columns = PACKED_COLUMNS;
        order->has_rows = kept_extent >= CPU_SHORT_ROW;
    }
    take_dims(order, columns, columns->count > 0 ? columns->count - 1 : 0);
    take_dims(order, rows, rows->count);
    if (columns->count > 0) order->dims[order->count++] = columns->dims[columns->count - 1];
    if (!work->keeps_columns && reduced_extent >= MOST_RESULTS && !order->is_turned) {
        order->has_one_row = true;
        order->most = LONG_ROW;
        order->most_columns = 0;
    }
    uint32_t padding = order->count < 2 ? 2 - order->count : 0;
    for (uint32_t i = 0; i < padding; i++) add_dim(&work->kept, i);
    for (uint32_t i = 0; i < order->count; i++) {
        bool is_reduced = (operation->program->reduced_dims >> order->dims[i] & 1) != 0;
        add_dim(is_reduced ? &work->reduced : &work->kept, padding + i);
    }
}

static int64_t tile_extent(const cpu_plan *plan, uint32_t dim) {
    return dim == plan->rank - 1 ? plan->tile_columns : dim == plan->rank - 2 ? plan->tile_rows : 1;
}

static size_t tiles_along(const cpu_plan *plan, uint32_t dim) {
    int64_t extent = tile_extent(plan, dim);
    return (size_t)((plan->dims[dim] + extent - 1) / extent);
}

/* Sets the places along these dimensions to those of tile `number` among theirs. */
static void seek(const cpu_plan *plan, int64_t *place, const dim_list *dims, size_t number) {
    for (uint32_t i = dims->count; i-- > 0;) {
        uint32_t dim = dims->dims[i];
        size_t tiles = tiles_along(plan, dim);
        place[dim] = (int64_t)(number % tiles) * tile_extent(plan, dim);
        number /= tiles;
    }
}

static void reset(const reduction *work, accumulators *into, size_t count) {
    static const accumulator floating[] = {
        {.floating = 0}, {.floating = 0}, {.floating = 1}, {.floating = -INFINITY}, {.floating = INFINITY}};
    static const accumulator integer[] = {
        {.integer = 0}, {.integer = 0}, {.integer = 1}, {.integer = INT64_MIN}, {.integer = INT64_MAX}};
    accumulator first = work->is_floating ? floating[work->fold] : integer[work->fold];
    for (size_t i = 0; i < count; i++) {
        into->values[i] = first;
        into->errors[i] = 0;
    }
}

static void accumulate(const reduction *work, accumulator *values, double *errors, const void *lanes, size_t count) {
    const cpu_folds *folds = work->plan.kernels->folds;
    if (work->is_floating) folds->into_f64[work->fold](&values->floating, errors, lanes, count);
    else folds->into_i64[work->fold](&values->integer, lanes, count);
}

/* One number from `count` lanes that lie side by side. */
static void fold_row(const reduction *work, accumulators *into, size_t result, const char *lanes, size_t count) {
    const cpu_plan *plan = &work->plan;
    const cpu_folds *folds = plan->kernels->folds;
    cpu_lane lane = plan->lanes[work->reg], wide_lane = work->is_floating ? CPU_LANE_F64 : CPU_LANE_I64;
    cpu_kernel *widen = plan->kernels->conversions->lanes[lane][wide_lane];
    accumulator one;
    if (lane == CPU_LANE_F32 && folds->f32[work->fold] != NULL) {
        one.floating = folds->f32[work->fold](lanes, count);
        accumulate(work, &into->values[result], &into->errors[result], &one, 1);
        return;
    }
    accumulator wide[MOST_RESULTS];
    for (size_t begin = 0; begin < count; begin += MOST_RESULTS) {
        size_t piece = count - begin < MOST_RESULTS ? count - begin : MOST_RESULTS;
        const void *values = lanes + begin * cpu_lane_size(lane);
        if (widen != NULL) {
            widen(wide, values, NULL, NULL, piece);
            values = wide;
        }
        if (work->is_floating) one.floating = folds->f64[work->fold](values, piece);
        else one.integer = folds->i64[work->fold](values, piece);
        accumulate(work, &into->values[result], &into->errors[result], &one, 1);
    }
}

/* Lane by lane. */
static void fold_lanes(const reduction *work, accumulators *into, const char *lanes, size_t count) {
    const cpu_plan *plan = &work->plan;
    cpu_kernel *widen =
        plan->kernels->conversions->lanes[plan->lanes[work->reg]][work->is_floating ? CPU_LANE_F64 : CPU_LANE_I64];
    accumulator wide[MOST_RESULTS];
    if (widen != NULL) widen(wide, lanes, NULL, NULL, count);
    accumulate(work, into->values, into->errors, widen != NULL ? (const void *)wide : lanes, count);
}

/* Row by row, floats first among themselves. Rows are `stride` bytes apart. */
static void fold_columns(const reduction *work, accumulators *into, const char *lanes, int64_t stride,
                         const cpu_evaluation *evaluation) {
    const cpu_folds *folds = work->plan.kernels->folds;
    cpu_lane lane = work->plan.lanes[work->reg];
    void (*fold)(void *, const char *, int64_t, size_t, size_t) = lane == CPU_LANE_F32 ? folds->columns_f32[work->fold]
                                                                  : lane == CPU_LANE_F64
                                                                      ? folds->columns_f64[work->fold]
                                                                      : NULL;
    if (fold != NULL && evaluation->rows > 1) {
        accumulator row[MOST_RESULTS];
        fold(row, lanes, stride, evaluation->rows, evaluation->columns);
        fold_lanes(work, into, (const char *)row, evaluation->columns);
        return;
    }
    for (size_t r = 0; r < evaluation->rows; r++) {
        fold_lanes(work, into, lanes + (int64_t)r * stride, evaluation->columns);
    }
}

/* Computes the tile and folds it. */
static void fold_tile(const reduction *work, cpu_evaluation *evaluation, accumulators *into) {
    const cpu_plan *plan = &work->plan;
    if (work->in_place != NULL) {
        const char *lanes = work->in_place->data;
        for (uint32_t i = 0; i < plan->rank; i++) lanes += evaluation->place[i] * work->in_place->strides[i];
        fold_columns(work, into, lanes, work->in_place->strides[plan->rank - 2], evaluation);
        return;
    }
    cpu_evaluation_compute(evaluation);
    const char *lanes = evaluation->registers[work->reg];
    size_t row = evaluation->columns * cpu_lane_size(plan->lanes[work->reg]);
    if (work->keeps_columns) {
        fold_columns(work, into, lanes, (int64_t)row, evaluation);
    } else if (work->keeps_rows) {
        for (size_t r = 0; r < evaluation->rows; r++) fold_row(work, into, r, lanes + r * row, evaluation->columns);
    } else {
        fold_row(work, into, 0, lanes, evaluation->rows * evaluation->columns);
    }
}

static size_t count_results(const reduction *work, const cpu_evaluation *evaluation) {
    return work->keeps_columns ? evaluation->columns : work->keeps_rows ? evaluation->rows : 1;
}

/* Rounds the results of a group to their type and writes them to the output. */
static void finish(const reduction *work, const cpu_evaluation *evaluation, accumulators *from) {
    const cpu_plan *plan = &work->plan;
    const cpu_conversions *conversions = plan->kernels->conversions;
    const cpu_access *output = &plan->accesses[0];
    tarn_element_type type = plan->operation->operands[0].type;
    size_t count = count_results(work, evaluation);
    for (size_t i = 0; i < count && work->is_floating; i++) {
        double value = from->values[i].floating;
        if (work->fold <= TARN_OPERATION_MEAN - TARN_OPERATION_SUM && isfinite(value)) value += from->errors[i];
        if (work->fold == TARN_OPERATION_MEAN - TARN_OPERATION_SUM) value /= work->count;
        from->values[i].floating = value;
    }
    cpu_lane wide = work->is_floating ? CPU_LANE_F64 : CPU_LANE_I64;
    cpu_kernel *narrow = conversions->lanes[wide][output->lane];
    if (type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16) narrow = conversions->odd;
    if (type == TARN_ELEMENT_BOOL) narrow = conversions->truths[wide];
    accumulator lanes[MOST_RESULTS], elements[MOST_RESULTS];
    const void *packed = from->values;
    if (narrow != NULL) {
        narrow(lanes, packed, NULL, NULL, count);
        packed = lanes;
    }
    if (output->convert != NULL) {
        output->convert(elements, packed, NULL, NULL, count);
        packed = elements;
    }
    char *to = output->data;
    for (uint32_t i = 0; i < work->kept.count; i++) {
        to += evaluation->place[work->kept.dims[i]] * output->strides[work->kept.dims[i]];
    }
    int64_t stride = output->strides[work->keeps_columns ? plan->rank - 1 : plan->rank - 2];
    for (size_t i = 0; i < count; i++) {
        memcpy(to + (int64_t)i * stride, (const char *)packed + i * output->element, output->element);
    }
}

static void keep_piece(const reduction *work, size_t task, const accumulators *from, size_t count) {
    memcpy(work->values + task * work->results, from->values, count * sizeof *from->values);
    memcpy(work->errors + task * work->results, from->errors, count * sizeof *from->errors);
}

static void reduce_pieces(void *context, size_t begin, size_t end) {
    const reduction *work = context;
    cpu_evaluation evaluation;
    accumulators into;
    cpu_evaluation_begin(&evaluation, &work->plan, 0);
    for (size_t task = begin; task < end; task++) {
        size_t first = task % work->pieces * work->piece_tiles;
        size_t last = first + work->piece_tiles < work->tiles ? first + work->piece_tiles : work->tiles;
        seek(&work->plan, evaluation.place, &work->kept, task / work->pieces);
        cpu_evaluation_measure(&evaluation);
        size_t count = count_results(work, &evaluation);
        reset(work, &into, count);
        for (size_t tile = first; tile < last; tile++) {
            seek(&work->plan, evaluation.place, &work->reduced, tile);
            cpu_evaluation_measure(&evaluation);
            fold_tile(work, &evaluation, &into);
        }
        if (work->pieces == 1) finish(work, &evaluation, &into);
        else keep_piece(work, task, &into, count);
    }
}

/* Adds the pieces of each group in their order. */
static void join_pieces(const reduction *work) {
    cpu_evaluation evaluation;
    accumulators into;
    cpu_evaluation_begin(&evaluation, &work->plan, 0);
    for (size_t group = 0; group < work->groups; group++) {
        seek(&work->plan, evaluation.place, &work->kept, group);
        cpu_evaluation_measure(&evaluation);
        size_t count = count_results(work, &evaluation);
        reset(work, &into, count);
        for (size_t piece = 0; piece < work->pieces; piece++) {
            size_t place = (group * work->pieces + piece) * work->results;
            accumulate(work, into.values, into.errors, work->values + place, count);
            for (size_t i = 0; i < count; i++) into.errors[i] += work->errors[place + i];
        }
        finish(work, &evaluation, &into);
    }
}

/* Finds out whether columns can be folded where they are, and has higher tiles then: they need no room. */
static void fold_in_place(reduction *work) {
    cpu_plan *plan = &work->plan;
    work->in_place = NULL;
    if (!work->keeps_columns || work->reduced.count == 0 || work->reg >= plan->operation->input_count) return;
    const cpu_access *input = &plan->accesses[plan->operation->output_count + work->reg];
    if (plan->instruction_count > 0 || input->convert != NULL ||
        input->strides[plan->rank - 1] != (int64_t)input->element)
        return;
    work->in_place = input;
    int64_t rows = plan->dims[plan->rank - 2], columns = plan->dims[plan->rank - 1];
    plan->tile_rows = rows < ROWS_IN_PLACE ? rows : ROWS_IN_PLACE;
    plan->tile_columns = columns < MOST_RESULTS ? columns : MOST_RESULTS;
}

static void measure_groups(reduction *work) {
    const cpu_plan *plan = &work->plan;
    work->groups = work->tiles = 1;
    work->count = 1;
    for (uint32_t i = 0; i < work->kept.count; i++) {
        work->groups *= tiles_along(plan, work->kept.dims[i]);
        if (work->kept.dims[i] == plan->rank - 2) work->keeps_rows = !work->keeps_columns && plan->tile_rows > 1;
    }
    for (uint32_t i = 0; i < work->reduced.count; i++) {
        work->tiles *= tiles_along(plan, work->reduced.dims[i]);
        work->count *= (double)plan->dims[work->reduced.dims[i]];
    }
    work->results = (size_t)(work->keeps_columns ? plan->tile_columns : work->keeps_rows ? plan->tile_rows : 1);
    size_t lanes = (size_t)(plan->tile_rows * plan->tile_columns);
    size_t pieces = work->tiles / ((LEAST_PIECE - 1) / lanes + 1);
    if (pieces > MOST_PIECES / work->groups) pieces = MOST_PIECES / work->groups;
    if (pieces < 1) pieces = 1;
    work->piece_tiles = pieces < work->tiles ? (work->tiles + pieces - 1) / pieces : 1;
    work->pieces = (work->tiles + work->piece_tiles - 1) / work->piece_tiles;
}

tarn_status cpu_reduce_run(const tarn_backend_operation *operation) {
    reduction work = {.fold = (unsigned)(operation->program->reduction - TARN_OPERATION_SUM)};
    cpu_order order;
    find_order(operation, &order, &work);
    tarn_status status = cpu_plan_make(&work.plan, operation, &order, false);
    if (status != TARN_OK) return status;
    work.reg = work.plan.step_registers[operation->program->results[0]];
    cpu_lane lane = work.plan.lanes[work.reg];
    work.is_floating = lane == CPU_LANE_F32 || lane == CPU_LANE_F64;
    fold_in_place(&work);
    measure_groups(&work);
    size_t grain = cpu_plan_grain(&work.plan) / work.piece_tiles + 1;
    if (work.pieces == 1) {
        cpu_parallel(work.groups, grain, reduce_pieces, &work);
        return TARN_OK;
    }
    size_t kept = work.groups * work.pieces * work.results;
    work.values = base_allocate(kept, sizeof *work.values);
    work.errors = base_allocate(kept, sizeof *work.errors);
    if (work.values != NULL && work.errors != NULL) {
        cpu_parallel(work.groups * work.pieces, grain, reduce_pieces, &work);
        join_pieces(&work);
    } else {
        status =
            cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for the %zu pieces of a reduction", work.groups * work.pieces);
    }
    base_free(work.values);
    base_free(work.errors);
    return status;
}
