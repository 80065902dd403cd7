/* Programs that a benchmark starts, each in a process of its own, and what they write. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stdio.h>

/* What the child becomes when there is no such program. */
enum { CHILD_NOT_FOUND = 127 };

typedef struct bench_child {
    /* In the new process, its output being a pipe: becomes another program. When it returns the child ends with CHILD_NOT_FOUND. */
    void (*become)(const void *context);
    const void *become_context;
    const char *input; /* (optional) what it reads; without it nothing */
    /* Reads the child's output; false: it is not as it should be. */
    bool (*read)(void *context, FILE *output);
    void *read_context;
} bench_child;

/* Runs it to its end. The exit status as waitpid gives it; below 0 where it could not be started or what it wrote was wrong. */
int child_run(const bench_child *child);

#endif
