/* The rows of `tarn bench ops`, as this program measures them: with Tarn, and as the machine's limit. */
#ifndef BENCH_OPERATIONS_ROWS_H
#define BENCH_OPERATIONS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/tarn.h>

enum { ROW_ADD_SMALL, ROW_ADD, ROW_CHAIN, ROW_TANH, ROW_EXP, ROW_SUM, ROW_MATMUL, ROW_CONV2D, OPERATION_ROWS };

/* Nanoseconds of each row with `elements` in the large ones, medians of `rounds`; the threads are those of TARN_NUM_THREADS. */
tarn_status rows_measure(size_t elements, size_t rounds, double *out_ns);
/* The time in which `threads` threads read two arrays and write a third, and read one: no pass over memory can be quicker. False without memory. */
bool rows_limits(size_t elements, size_t rounds, unsigned threads, double *out_pass_ns, double *out_read_ns);

#endif
