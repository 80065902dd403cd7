/* What memory an expression needs, beside the same operations one by one. */
#ifndef BENCH_EXPRESSION_MEMORY_H
#define BENCH_EXPRESSION_MEMORY_H

#include "harness.h"

/* Measures it from several allocators, prints a table, unless JSON is asked for, and adds "memory" to the result. Returns an exit code of the tool. */
int expression_memory(const bench_options *options, json_t *inout_result);

#endif
