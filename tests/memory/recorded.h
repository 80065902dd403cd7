/* Recorded PyTorch jobs for the tests that replay them. */
#ifndef TESTS_MEMORY_RECORDED_H
#define TESTS_MEMORY_RECORDED_H

#include <tarn/trace.h>

#define RECORDED_SNAPSHOTS 6
extern const char *const recorded_snapshots[RECORDED_SNAPSHOTS];

/* Reads one; skips the running test, and says why, where the snapshots are not to be found. */
tarn_trace *recorded_open(const char *name);

#endif
