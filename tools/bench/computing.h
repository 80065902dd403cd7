/* What the benchmarks `ops` and `expr` have in common: work on tensors, those who do it, and what it is held against.
 *
 * Work is named, and done on so many elements: that is a point. A suite has rows, points that stand in its table with a target, and panels, the same work
 * over sizes, for its plots. Each contender measures all points in a process of its own. */
#ifndef BENCH_COMPUTING_H
#define BENCH_COMPUTING_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/tarn.h>

#include "harness.h"

/* What the tensors x and w of n elements are, beside a row, which has the last dimension alone. */
typedef enum work_operands {
    WORK_VECTORS,  /* [n] */
    WORK_ROWS,     /* [n / 1000, 1000] */
    WORK_SQUARES,  /* [√n, √n] */
    WORK_BATCH,    /* [n / 4096, 64, 64] */
    WORK_IMAGES_3, /* [8, 64, √(n/512), √(n/512)], and w 64 filters of 3 × 3 */
    WORK_IMAGES_1  /* the same with filters of 1 × 1 */
} work_operands;

/* What no machine does quicker, all measured in the run: reading two arrays and writing a third, reading, multiplying and adding. */
typedef enum work_limit { LIMIT_NONE, LIMIT_PASS, LIMIT_READ, LIMIT_ARITHMETIC, LIMITS } work_limit;

/* What work is done with. Zero but for what the work's own `prepare` set, which is released for it. */
typedef struct work_place {
    tarn_allocator *allocator;
    tarn_tensor *x, *w, *row;
    tarn_evaluation *evaluation;
    tarn_expr *expr;
    tarn_stream *stream; /* of a capture, with its pool and the tensor that it writes */
    tarn_allocator *pool;
    tarn_tensor *captured;
    tarn_graph_instance *instance;
} work_place;

typedef struct bench_work {
    const char *name; /* as peers/computing.py has it */
    work_operands operands;
    work_limit limit;
    unsigned each; /* how many like it are done at once, of which one is measured; 0: 1 */
    double bytes;  /* that it has to read and write for an element */
    double flops;  /* and compute; for squares, by the length of a side */
    tarn_expr *(*build)(const work_place *place); /* it is an expression, made ready beforehand; or else */
    tarn_status (*prepare)(work_place *place);    /* (optional) */
    tarn_status (*compute)(const work_place *place, tarn_tensor **out_result); /* the result may stay NULL */
} bench_work;

/* NULL: there is no such work. */
const bench_work *work_find(const char *name);
/* The elements that x really has where about `elements` are wanted. */
size_t work_elements(const bench_work *work, size_t elements);
/* Bytes or floating-point operations of the whole, whichever limits it, so that divided by nanoseconds they are GB/s or GFLOP/s. */
double work_amount(const bench_work *work, size_t elements);
/* Two long tensors of random numbers, of which all work takes a part. What was made is in `out_flats` after a failure too. */
tarn_status work_make_flats(tarn_allocator *allocator, size_t elements, tarn_tensor **out_flats);
/* The operands of the work in a place that has an allocator. It is closed after a failure too. */
tarn_status work_open(const bench_work *work, size_t elements, tarn_tensor *const *flats, work_place *place);
void work_close(work_place *place);
/* One result, or NULL where the work has none to give. */
tarn_status work_compute(const bench_work *work, const work_place *place, tarn_tensor **out_result);
/* The work of the two suites; ends with one that has no name. */
extern const bench_work operations_work[], expressions_work[];

typedef enum suite_contender { TARN_ONE, TARN_ALL, NUMPY, TORCH_ONE, TORCH_ALL, CONTENDERS } suite_contender;
extern const char *const contender_names[CONTENDERS];

/* What a row is held against. */
typedef enum suite_reference {
    AGAINST_NOTHING,
    AGAINST_NUMPY,
    AGAINST_TORCH,
    AGAINST_PEERS,
    AGAINST_LIMIT,
    AGAINST_OTHER
} suite_reference;

typedef struct suite_row {
    const char *label;
    const char *work;
    size_t elements; /* 0: those of the largest tensors */
    suite_reference against;
    double target;           /* how many times as fast, at least; 0: none */
    const char *other;       /* with AGAINST_OTHER, the work that does the same in another way */
    const char *other_label; /* and its name for people */
} suite_row;

/* Part of a plot: the time of some work over sizes. */
typedef struct suite_panel {
    const char *family; /* panels of one family follow each other */
    const char *title;
    const char *work;
    size_t most; /* elements */
} suite_panel;

typedef struct bench_suite {
    const char *name;
    const suite_row *rows;
    size_t row_count;
    const suite_panel *panels;
    size_t panel_count;
    int (*more)(const bench_options *options,
                json_t *inout_result); /* (optional) measures, prints and adds what else there is */
} bench_suite;

typedef struct suite_point {
    const bench_work *work;
    size_t elements, rounds, round_ms;
    double ns[CONTENDERS]; /* below 0: not measured */
} suite_point;

enum { SUITE_MOST_POINTS = 160 };
typedef struct suite_results {
    size_t largest, rounds;
    unsigned threads;
    double limits[LIMITS]; /* GB/s, or GFLOP/s; below 0: not measured */
    suite_point points[SUITE_MOST_POINTS];
    size_t count;
} suite_results;

/* Measures a suite, prints it, unless JSON is asked for, and draws its plots where they are. As bench_operations. */
int suite_run(const bench_suite *suite, const bench_options *options, json_t **out_result);
/* Measures all points. False where Tarn itself cannot be measured. */
bool suite_measure(const bench_suite *suite, const bench_options *options, suite_results *out_results);
/* NULL: it was not measured. */
const suite_point *suite_find(const suite_results *results, const char *work, size_t elements);
/* The nanoseconds in which the limit lets a point be done; below 0 where there is none. */
double suite_limit_ns(const suite_results *results, const suite_point *point);
/* The contenders' times by name. */
json_t *suite_times(const suite_point *point);

/* GB/s of LIMIT_PASS and LIMIT_READ and GFLOP/s of LIMIT_ARITHMETIC, with `threads` threads; below 0 without memory. */
void limits_measure(size_t elements, size_t rounds, unsigned threads, double out_limits[LIMITS]);

/* Draws the families of a suite into the folder that the options name, and notes the files in `*inout_json`. Returns an exit code. */
int plots_write(const bench_suite *suite, const suite_results *results, const bench_options *options,
                json_t *inout_json);
/* Whether plots can be drawn there; makes the folder. Says why not, and returns an exit code. */
int plots_check(const char *folder);

/* The option with which the tool measures points in this process, and what then happens: a line for each point. */
#define COMPUTING_OPTION "measure-work"
int computing_child(const char *argument);

/* peers/computing.py, which measures NumPy and PyTorch; made by peers.cmake. */
extern const char computing_script[];

#endif
