/* oneDNN as it has been opened: its functions and its engine. */
#ifndef CPU_COMPUTE_ONEDNN_LIBRARY_H
#define CPU_COMPUTE_ONEDNN_LIBRARY_H

#include <stdbool.h>

#include <oneapi/dnnl/dnnl.h>

typedef struct onednn_library {
#define SYMBOL(name) __typeof__(&(name)) name; /* NOLINT(bugprone-macro-parentheses): a member */
#include "backends/cpu/compute/onednn_symbols.h"
#undef SYMBOL
    dnnl_engine_t engine;
    /* Of the OpenMP runtime that the library brought: how many threads the calling one's work is shared by. */
    void (*set_threads)(int count);
    int (*get_threads)(void);
} onednn_library;

/* NULL where it is turned off or cannot be opened, which has been said then. */
const onednn_library *onednn_library_get(void);

#endif
