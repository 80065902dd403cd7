/* oneDNN as it has been opened: its functions, its engine, and how many threads its OpenMP runtime may use. */
#ifndef CPU_COMPUTE_ONEDNN_LIBRARY_H
#define CPU_COMPUTE_ONEDNN_LIBRARY_H

#include <stdbool.h>

#include <oneapi/dnnl/dnnl.h>

typedef struct onednn_library {
#define SYMBOL(name) __typeof__(&(name)) name; /* NOLINT(bugprone-macro-parentheses): a member */
#include "backends/cpu/compute/onednn_symbols.h"
#undef SYMBOL
    dnnl_engine_t engine;
    /* Of the OpenMP runtime that the library brought. */
    void (*set_threads)(int count);
    int (*get_threads)(void);
} onednn_library;

/* NULL where it is turned off or cannot be opened, which has been said then. */
const onednn_library *onednn_library_get(void);

/* How many threads an operation may use: all that the pool has, or one while another operation has them. */
unsigned onednn_threads_take(void);
void onednn_threads_give(unsigned threads);

#endif
