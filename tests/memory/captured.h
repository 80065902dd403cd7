/* Work to capture: a program of requests, fills, copies and frees on one stream or two, and what it is held against.
 *
 * Every buffer is filled with a mark of its own, and its first and last bytes are copied to a place outside before it is freed. So a launch
 * shows whether any buffer was overwritten while it lived. Whether two that may run at the same time share memory does not show
 * there, where launches run in the order of the capture: addresses are compared by the program's own forks and joins. */
#ifndef TESTS_MEMORY_CAPTURED_H
#define TESTS_MEMORY_CAPTURED_H

#include "capture.h"

#define CAPTURED_STEPS 300

typedef enum captured_what { CAPTURED_TAKE, CAPTURED_GIVE, CAPTURED_FORK, CAPTURED_JOIN } captured_what;

typedef struct captured_step {
    captured_what what;
    int buffer; /* number of the request, from 0 */
    size_t size;
    int stream; /* 0, 1 */
} captured_step;

typedef struct captured_program {
    captured_step steps[CAPTURED_STEPS];
    int count, buffers;
} captured_program;

/* A program by chance. `most` is the largest size. */
void captured_generate(captured_program *program, unsigned seed, bool has_forks, size_t most);
/* Adds a step. */
void captured_add(captured_program *program, captured_what what, int buffer, size_t size, int stream);

/* One capture of a program. */
typedef struct captured_run {
    test_stand *stand;
    tarn_buffer *shown; /* where the bytes are copied to: of the pool, outside the capture */
    struct captured_buffer {
        tarn_buffer *buffer;
        uintptr_t address;
        size_t size;
        int stream, phase, step;                   /* where it was asked for */
        int freed_stream, freed_phase, freed_step; /* -1: not freed */
    } buffers[CAPTURED_STEPS];
    int count;
    tarn_graph_instance *instance; /* NULL: aborted */
} captured_run;

/* Captures the program under that name; `steps` of it, and aborts, where that is not negative. Checks the addresses. */
void captured_play(captured_run *run, test_stand *stand, const captured_program *program, uint64_t name, int steps);
/* Launches, and checks what was copied, on a device with memory. */
void captured_launch(const captured_run *run);
/* Releases the graph, and frees what the program did not. */
void captured_finish(captured_run *run);

#endif
