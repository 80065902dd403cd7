/* Progress: see progress.h. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "tool.h"

enum { WIDTH = 24, UPDATES = 50 };

static void draw(const tool_progress *progress) {
    double done = progress->total_steps > 0 ? (double)progress->step / (double)progress->total_steps : 1;
    double whole = ((double)progress->run + done) / (double)progress->total_runs;
    int filled = (int)(whole * WIDTH + 0.5);
    char label[64];
    snprintf(label, sizeof label, "%.30s, %.30s", tool_base_name(progress->file), progress->what);
    base_text_disarm(label);
    fprintf(stderr, "\r\033[K[");
    for (int i = 0; i < WIDTH; i++) fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3.0f %%  %s", whole * 100, label);
    fflush(stderr);
}

void progress_begin(tool_progress *progress, const char *file, const char *what, size_t total_steps) {
    progress->file = file;
    progress->what = what;
    progress->total_steps = total_steps;
    progress->step = 0;
    progress->is_shown = isatty(STDERR_FILENO) == 1;
    progress->next_shown = progress->is_shown ? total_steps / UPDATES + 1 : 0;
    if (progress->is_shown) draw(progress);
}

void progress_show(tool_progress *progress) {
    progress->next_shown += progress->total_steps / UPDATES + 1;
    draw(progress);
}

void progress_reach(tool_progress *progress, size_t step) {
    progress->step = step < progress->total_steps ? step : progress->total_steps;
    if (progress->is_shown && progress->step >= progress->next_shown) {
        progress->next_shown = progress->step + progress->total_steps / UPDATES + 1;
        draw(progress);
    }
}

void progress_end(tool_progress *progress) {
    progress->run++;
    if (progress->is_shown) fprintf(stderr, "\r\033[K");
}
