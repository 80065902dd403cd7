/* A bar on stderr while runs are going on; nothing when stderr is no terminal. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero but `total_runs` is a bar that has not begun. */
typedef struct tool_progress {
    size_t total_runs, run;
    size_t total_steps, step, next_shown;
    const char *file, *what;
    bool is_shown;
} tool_progress;

void progress_begin(tool_progress *progress, const char *file, const char *what, size_t total_steps);
void progress_show(tool_progress *progress);
void progress_end(tool_progress *progress);

/* For runs whose steps are not counted one by one: `step` of them are done. */
void progress_reach(tool_progress *progress, size_t step);

/* Called for every event: almost always only an addition. */
static inline void progress_step(tool_progress *progress) {
    if (++progress->step == progress->next_shown) progress_show(progress);
}

#endif
