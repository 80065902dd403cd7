/* Replaying through an arena that is reset, or a pool that is cleared, at the end of each step of the traced program: `SPEC+reset-per-step`.
 *
 * A step ends at a mark of the trace whose text contains "step", in any case. Where there are no such marks, it ends where the live
 * bytes come back to their lowest level: the last moment of each valley between two hills, a hill being above half of the
 * way from the lowest level to the peak, and a valley within a tenth of it.
 *
 * What is allocated in a step and freed in it is the arena's: its frees are not made, the reset takes it back. What outlives its
 * step cannot be: it goes to an allocator beside it, and is freed when the trace frees it. */
#ifndef TRACE_REPLAY_STEPS_H
#define TRACE_REPLAY_STEPS_H

#include <stdbool.h>

#include <tarn/allocator.h>
#include <tarn/trace.h>

typedef struct replay_steps {
    size_t *ends; /* events that a step ends with, rising */
    size_t count, room;
    bool *outlives;         /* by id: alive at the end of the step that it was allocated in */
    tarn_allocator *beside; /* for those; one reference */
} replay_steps;

/* Whether the spec ends so; then writes the length of what stands before. */
bool replay_steps_asked(const char *spec, size_t *out_length);
/* Finds the steps of one of the trace's devices and makes the allocator for what outlives them. OUT_OF_MEMORY. */
tarn_status replay_steps_begin(replay_steps *steps, const tarn_trace *trace, uint16_t trace_device,
                               tarn_device *device);
/* Frees everything; all of it is gone from the allocator beside. */
tarn_status replay_steps_end(replay_steps *steps);
/* Takes everything in the arena or pool back. INVALID_ARGUMENT when it is neither. */
tarn_status replay_steps_reset(tarn_allocator *allocator);

#endif
