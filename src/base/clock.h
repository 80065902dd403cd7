/* Monotonic time. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC: never goes back. */
uint64_t base_clock_ns(void);

/* The same clock for one who reads it all the time, at half the price and right to a microsecond: for a millisecond after
 * each reading of the clock itself, what the processor's own counter has gone on since is added to it. Where the kernel does
 * not keep its time by that counter, which says that it is the same on all processors and never changes its pace,
 * each reading is one of the clock itself. */
typedef struct base_quick_clock {
    uint64_t counted; /* at the last reading of the clock itself; 0: there was none */
    uint64_t span;    /* so far from there the counter is believed; 0: not at all */
    uint64_t read_ns; /* what the clock said there */
    uint64_t pace;    /* nanoseconds for 2^32 counts, as of the two last such readings; 0: not known */
    uint64_t last_ns; /* the last answer */
    bool has_counter;
} base_quick_clock;

void base_quick_clock_begin(base_quick_clock *clock);
/* Never goes back. For one thread at a time. */
uint64_t base_quick_clock_ns(base_quick_clock *clock);

#endif
