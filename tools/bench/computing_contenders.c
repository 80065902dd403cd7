/* Measuring a suite: which points there are, and every contender's time for each. A contender is measured in a process of its own, with its number of
 * threads in the environment before anything starts: this program once more for Tarn, Python for the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "child.h"
#include "computing.h"

enum { FIRST_SIZE = 1000, POINT_TEXT = 64 };

const char *const contender_names[CONTENDERS] = {"Tarn, 1 thread", "Tarn", "NumPy", "PyTorch, 1 thread", "PyTorch"};

static const struct kind {
    const char *library; /* of Python; NULL: Tarn */
    bool has_all_threads;
} kinds[CONTENDERS] = {{NULL, false}, {NULL, true}, {"numpy", false}, {"torch", false}, {"torch", true}};

static const char *const interpreters[] = {"/usr/bin/python3", "python3"};
enum { INTERPRETERS = sizeof interpreters / sizeof interpreters[0] };

typedef struct measurement {
    suite_contender who;
    const char *interpreter; /* of Python; NULL: Tarn */
    const char *points;      /* as text */
    suite_results *results;
} measurement;

static void become(const void *context) {
    const measurement *this = context;
    const struct kind *kind = &kinds[this->who];
    char count[16];
    snprintf(count, sizeof count, "%u", kind->has_all_threads ? this->results->threads : 1);
    setenv("TARN_NUM_THREADS", count, 1);
    setenv("OMP_NUM_THREADS", count, 1);
    setenv("OPENBLAS_NUM_THREADS", count, 1);
    if (this->interpreter == NULL) {
        execl("/proc/self/exe", "tarn", "bench", "--" COMPUTING_OPTION, this->points, (char *)NULL);
        return;
    }
    FILE *nowhere = freopen("/dev/null", "w", stderr);
    (void)nowhere;
    execlp(this->interpreter, this->interpreter, "-c", computing_script, kind->library, count, this->points,
           (char *)NULL);
}

/* A line for each point. */
static bool read_lines(void *context, FILE *output) {
    const measurement *this = context;
    char line[64];
    for (size_t i = 0; i < this->results->count; i++) {
        if (fgets(line, sizeof line, output) == NULL) return false;
        this->results->points[i].ns[this->who] = line[0] == '-' ? -1 : strtod(line, NULL);
    }
    return true;
}

static bool measure_with(measurement *this, const char *interpreter) {
    this->interpreter = interpreter;
    const bench_child child = {.become = become, .become_context = this, .read = read_lines, .read_context = this};
    if (child_run(&child) == 0) return true;
    for (size_t i = 0; i < this->results->count; i++) this->results->points[i].ns[this->who] = -1;
    return false;
}

static bool measure(suite_contender who, const char *points, suite_results *results) {
    measurement this = {.who = who, .points = points, .results = results};
    if (kinds[who].library == NULL) return measure_with(&this, NULL);
    for (size_t i = 0; i < INTERPRETERS; i++)
        if (measure_with(&this, interpreters[i])) return true;
    return false;
}

/* NULL without memory. The caller frees it. */
static char *points_to_text(const suite_results *results) {
    char *text = malloc(results->count * POINT_TEXT + 1);
    size_t used = 0;
    for (size_t i = 0; text != NULL && i < results->count; i++) {
        const suite_point *point = &results->points[i];
        int length = snprintf(text + used, POINT_TEXT, "%s%s:%zu:%zu:%zu", i > 0 ? " " : "", point->work->name,
                              point->elements, point->rounds, point->round_ms);
        used += (size_t)length;
    }
    return text;
}

static void add_point(suite_results *results, const char *work, size_t elements, size_t rounds, size_t round_ms) {
    if (elements > results->largest || suite_find(results, work, elements) != NULL) return;
    if (results->count == SUITE_MOST_POINTS) return;
    suite_point *point = &results->points[results->count++];
    *point = (suite_point){.work = work_find(work), .elements = elements, .rounds = rounds, .round_ms = round_ms};
    for (int i = 0; i < CONTENDERS; i++) point->ns[i] = -1;
}

/* Sizes of a panel: 1,000, 3,000, 10,000 …, and with --quick 1,000, 10,000 …. Batches and images have a least size. */
static void add_sizes(suite_results *results, const suite_panel *panel, bool quick) {
    const bench_work *work = work_find(panel->work);
    for (size_t power = FIRST_SIZE; power <= panel->most; power *= 10) {
        for (size_t size = power; size <= (quick ? power : 3 * power); size *= 3) {
            if (size > panel->most || work_elements(work, size) > size) continue;
            add_point(results, panel->work, size, quick ? 3 : 5, quick ? 4 : 10);
        }
    }
}

static void choose_points(const bench_suite *suite, const bench_options *options, suite_results *results) {
    for (size_t i = 0; i < suite->row_count; i++) {
        const suite_row *row = &suite->rows[i];
        size_t elements = row->elements > 0 ? row->elements : results->largest, round_ms = options->trial   ? 1
                                                                                           : options->quick ? 10
                                                                                                            : 50;
        add_point(results, row->work, elements, results->rounds, round_ms);
        if (row->other != NULL) add_point(results, row->other, elements, results->rounds, round_ms);
    }
    if (options->plots == NULL) return;
    for (size_t i = 0; i < suite->panel_count; i++) add_sizes(results, &suite->panels[i], options->quick);
}

/* What fits the caches says nothing about memory. */
static void measure_limits(const bench_options *options, suite_results *results) {
    static const size_t least_elements = 4000000, least_rounds = 7;
    size_t elements = results->largest, rounds = results->rounds;
    if (elements < least_elements && !options->trial) elements = least_elements;
    if (rounds < least_rounds && !options->trial) rounds = least_rounds;
    limits_measure(elements, rounds, results->threads, results->limits);
}

bool suite_measure(const bench_suite *suite, const bench_options *options, suite_results *out_results) {
    static const size_t usual = 100000000, quick = 10000000, trial = 1000;
    *out_results = (suite_results){.largest = options->trial   ? trial
                                              : options->quick ? quick
                                                               : usual,
                                   .rounds = options->trial   ? 1
                                             : options->quick ? 3
                                                              : 9,
                                   .threads = base_processor_count()};
    if (options->largest > 0) out_results->largest = options->largest;
    choose_points(suite, options, out_results);
    char *points = points_to_text(out_results);
    if (points == NULL) return false;
    measure_limits(options, out_results);
    bool is_measured = measure(TARN_ONE, points, out_results) && measure(TARN_ALL, points, out_results);
    for (suite_contender other = NUMPY; is_measured && other < CONTENDERS; other++) measure(other, points, out_results);
    free(points);
    return is_measured;
}
