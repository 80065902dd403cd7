/* The threads that share the computing of the cpu device. */
#ifndef CPU_COMPUTE_THREADS_H
#define CPU_COMPUTE_THREADS_H

#include <stddef.h>

/* Calls `work(context, begin, end)` for ranges that together are 0 … `count`, each once, and returns when all have been worked. Ranges
 * have at least `grain` numbers, but for the last; up to `grain` numbers are worked on the calling thread without further ado. Where
 * the ranges begin depends on how many threads there are. Inside work, and while another thread's work has the pool, everything runs on
 * the calling thread. Any thread. */
void cpu_parallel(size_t count, size_t grain, void (*work)(void *context, size_t begin, size_t end), void *context);

/* How many threads work at most, the calling one among them: TARN_NUM_THREADS, or as many as there are processors that the process may
 * use. At least 1. Read when first needed, and again after the last device was closed. */
unsigned cpu_parallel_width(void);

/* Counts an open device. When the last one is given back, the threads end. */
void cpu_threads_retain(void);
void cpu_threads_release(void);

#endif
