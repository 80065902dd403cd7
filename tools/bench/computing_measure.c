/* Measuring work in this process. Each point is done once or twice to warm up, then as often as takes a round's time, in several
 * rounds. Results are made anew each time, as a program does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "computing.h"

/* How much longer than planned a point may take, where each call is longer than a round. */
enum { MOST_ROUNDS = 31, PATIENCE = 2 };
/* The dimensions that operands have. */
enum { ROW = 1000, BATCH_SIDE = 64, IMAGES = 8, CHANNELS = 64, LEAST_ELEMENTS = CHANNELS * CHANNELS * 9 };

const bench_work *work_find(const char *name) {
    static const bench_work *const lists[] = {operations_work, expressions_work};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const bench_work *work = lists[i]; work->name != NULL; work++)
            if (strcmp(work->name, name) == 0) return work;
    return NULL;
}

/* The side of a square of about so many elements. */
static int64_t side_of(size_t elements) {
    int64_t side = 1;
    while ((side + 1) * (side + 1) <= (int64_t)elements) side++;
    return side;
}

static void shapes_of(work_operands operands, size_t elements, tarn_shape *out_x, tarn_shape *out_w) {
    int64_t n = (int64_t)elements, row = n < ROW ? n : ROW, side = side_of(elements),
            batch = n / (BATCH_SIDE * BATCH_SIDE);
    int64_t image = side_of(elements / (IMAGES * CHANNELS)), filter = operands == WORK_IMAGES_3 ? 3 : 1;
    switch (operands) {
    case WORK_VECTORS: *out_x = (tarn_shape){.rank = 1, .dims = {n}}; break;
    case WORK_ROWS: *out_x = (tarn_shape){.rank = 2, .dims = {n / row, row}}; break;
    case WORK_SQUARES: *out_x = (tarn_shape){.rank = 2, .dims = {side, side}}; break;
    case WORK_BATCH: *out_x = (tarn_shape){.rank = 3, .dims = {batch > 0 ? batch : 1, BATCH_SIDE, BATCH_SIDE}}; break;
    default:
        *out_x = (tarn_shape){.rank = 4, .dims = {IMAGES, CHANNELS, image, image}};
        *out_w = (tarn_shape){.rank = 4, .dims = {CHANNELS, CHANNELS, filter, filter}};
        return;
    }
    *out_w = *out_x;
}

static int64_t elements_of(const tarn_shape *shape) {
    int64_t count = 1;
    for (size_t i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

size_t work_elements(const bench_work *work, size_t elements) {
    tarn_shape x, w;
    shapes_of(work->operands, elements, &x, &w);
    return (size_t)elements_of(&x);
}

double work_amount(const bench_work *work, size_t elements) {
    double number = (double)work_elements(work, elements);
    if (work->limit != LIMIT_ARITHMETIC) return work->bytes * number;
    return work->flops * number * (work->operands == WORK_SQUARES ? (double)side_of(elements) : 1);
}

/* The first elements of a long tensor, in a shape. */
static tarn_status take_part(tarn_tensor *flat, const tarn_shape *shape, tarn_tensor **out_part) {
    tarn_tensor *first = NULL;
    tarn_status status = tarn_tensor_slice(flat, 0, 0, elements_of(shape), 1, &first);
    if (status == TARN_OK) status = tarn_tensor_view(first, shape->dims, shape->rank, out_part);
    tarn_tensor_release(first);
    return status;
}

static tarn_status prepare(const bench_work *work, work_place *place) {
    if (work->prepare != NULL) return work->prepare(place);
    if (work->build == NULL) return TARN_OK;
    tarn_expr *expr = work->build(place);
    tarn_status status = tarn_evaluation_create(&expr, 1, &place->evaluation);
    tarn_expr_release(expr);
    return status;
}

tarn_status work_open(const bench_work *work, size_t elements, tarn_tensor *const *flats, work_place *place) {
    tarn_shape x, w, row;
    shapes_of(work->operands, elements, &x, &w);
    row = (tarn_shape){.rank = 1, .dims = {x.dims[x.rank - 1]}};
    tarn_status status = take_part(flats[0], &x, &place->x);
    if (status == TARN_OK) status = take_part(flats[1], &w, &place->w);
    if (status == TARN_OK) status = take_part(flats[1], &row, &place->row);
    return status == TARN_OK ? prepare(work, place) : status;
}

void work_close(work_place *place) {
    tarn_graph_instance_release(place->instance);
    tarn_tensor_release(place->captured);
    tarn_stream_release(place->stream);
    tarn_allocator_release(place->pool);
    tarn_evaluation_release(place->evaluation);
    tarn_expr_release(place->expr);
    tarn_tensor_release(place->x);
    tarn_tensor_release(place->w);
    tarn_tensor_release(place->row);
}

tarn_status work_compute(const bench_work *work, const work_place *place, tarn_tensor **out_result) {
    return work->compute != NULL ? work->compute(place, out_result)
                                 : tarn_evaluation_run(place->evaluation, place->allocator, NULL, out_result);
}

/* `calls` results, one after the other; nanoseconds of one. */
static tarn_status compute_often(const bench_work *work, const work_place *place, size_t calls, double *out_ns) {
    tarn_status status = TARN_OK;
    uint64_t began = base_clock_ns();
    for (size_t i = 0; i < calls && status == TARN_OK; i++) {
        tarn_tensor *result = NULL;
        status = work_compute(work, place, &result);
        if (status == TARN_OK) status = tarn_tensor_release(result);
    }
    *out_ns = (double)(base_clock_ns() - began) / (double)calls;
    return status;
}

static tarn_status measure(const bench_work *work, const work_place *place, size_t rounds, double round_ns,
                           double *out_ns) {
    double times[MOST_ROUNDS], once;
    tarn_status status = compute_often(work, place, 1, &once);
    if (status == TARN_OK && once < round_ns) status = compute_often(work, place, 1, &once);
    size_t calls = once < round_ns ? (size_t)(round_ns / (once < 1 ? 1 : once)) : 1, count = 0;
    double patience = PATIENCE * round_ns * (double)rounds;
    for (; count < rounds && status == TARN_OK && patience > 0; count++) {
        status = compute_often(work, place, calls, &times[count]);
        patience -= times[count] * (double)calls;
    }
    if (status == TARN_OK) *out_ns = bench_median(times, count) / (work->each > 0 ? work->each : 1);
    return status;
}

/* Reads "WORK:ELEMENTS:ROUNDS:MILLISECONDS" and goes on to what follows the next space; else stays. */
static bool read_point(const char **text, suite_point *out_point) {
    char name[64];
    int length = 0;
    if (sscanf(*text, "%63[^:]:%zu:%zu:%zu%n", name, &out_point->elements, &out_point->rounds, &out_point->round_ms,
               &length) != 4) {
        return false;
    }
    out_point->work = work_find(name);
    if (out_point->work == NULL || out_point->elements == 0) return false;
    if (out_point->rounds == 0 || out_point->rounds > MOST_ROUNDS) return false;
    *text += length;
    *text += strspn(*text, " ");
    return true;
}

static tarn_status measure_all(tarn_allocator *allocator, tarn_tensor *const *flats, const char *text) {
    tarn_status status = TARN_OK;
    suite_point point;
    while (status == TARN_OK && read_point(&text, &point)) {
        work_place place = {.allocator = allocator};
        double ns = 0;
        status = work_open(point.work, point.elements, flats, &place);
        if (status == TARN_OK) status = measure(point.work, &place, point.rounds, (double)point.round_ms * 1e6, &ns);
        work_close(&place);
        if (status == TARN_OK) printf("%.17g\n", ns);
    }
    return status;
}

tarn_status work_make_flats(tarn_allocator *allocator, size_t elements, tarn_tensor **out_flats) {
    const tarn_shape shape = {.rank = 1, .dims = {(int64_t)elements}};
    tarn_status status = TARN_OK;
    for (uint64_t i = 0; i < 2 && status == TARN_OK; i++)
        status = tarn_tensor_random_normal(allocator, &shape, TARN_ELEMENT_F32, i + 1, 0, 1, NULL, &out_flats[i]);
    return status;
}

int computing_child(const char *argument) {
    size_t largest = LEAST_ELEMENTS;
    suite_point point;
    const char *text = argument;
    while (read_point(&text, &point))
        if (point.elements > largest) largest = point.elements;
    if (text == argument || *text != '\0') return TOOL_USAGE;
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    tarn_tensor *flats[2] = {NULL, NULL};
    tarn_status status = tarn_device_open("cpu", &device);
    if (status == TARN_OK) status = tarn_allocator_create(device, "caching", &allocator);
    if (status == TARN_OK) status = work_make_flats(allocator, largest, flats);
    if (status == TARN_OK) status = measure_all(allocator, flats, argument);
    int code = status == TARN_OK ? TOOL_DONE : tool_fail(BENCH_COMMAND, NULL, status);
    for (int i = 0; i < 2; i++) tarn_tensor_release(flats[i]);
    tarn_allocator_release(allocator);
    tarn_device_release(device);
    return code;
}
