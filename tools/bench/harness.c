/* What the benchmarks share: medians and numbers as they print them, and the files that they read. */
#include "harness.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

double bench_first_quartile(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 4];
}

char *bench_duration(double nanoseconds, char out_text[TOOL_TEXT]) {
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    size_t unit = 0;
    while (nanoseconds >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        nanoseconds /= 1000;
        unit++;
    }
    int decimals = nanoseconds < 9.995 ? 2 : nanoseconds < 99.95 ? 1 : 0;
    snprintf(out_text, TOOL_TEXT, "%.*f %s", decimals, nanoseconds, units[unit]);
    return out_text;
}

static void find_problems(const char *folder, glob_t *files) {
    static const char *const patterns[] = {"*.csv", "minimalloc/*.csv", "idealloc/*.csv", "*.pickle",
                                           "pytorch-snapshots/*.pickle"};
    char pattern[4096];
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        snprintf(pattern, sizeof pattern, "%s/%s", folder, patterns[i]);
        glob(pattern, i > 0 ? GLOB_APPEND : 0, NULL, files);
    }
}

int bench_each_problem(const bench_options *options, const char *name, int (*run)(void *context, const char *path),
                       void *context) {
    const char *folder = options->data ? options->data : getenv("TARN_SHARED_DATA");
    glob_t files = {0};
    int result = TOOL_DONE;
    if (folder) find_problems(folder, &files);
    if (files.gl_pathc == 0 && options->data) {
        tool_say(BENCH_COMMAND, "%s: no problems (*.csv, *.pickle) in this folder", folder);
        result = TOOL_INPUT;
    }
    for (size_t i = 0; i < files.gl_pathc && result == TOOL_DONE; i++) result = run(context, files.gl_pathv[i]);
    if (result == TOOL_DONE && files.gl_pathc == 0 && !options->as_json)
        printf("%s: generated problems alone, --data names no folder with others\n", name);
    globfree(&files);
    return result;
}
