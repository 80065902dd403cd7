/* Medians and numbers as the benchmarks print them. */
#include "harness.h"

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
