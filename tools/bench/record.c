/* `tarn bench record`: how much slower a NumPy program runs while it is recorded.
 *
 * The same small training loop runs plain and recorded, in turns; compared are medians of the processor time that the
 * system counted for each, which other programs on the machine disturb least. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/wait.h>

#include "harness.h"

enum { PLAIN, EVERY_BLOCK, LARGE_BLOCKS, WAYS };
enum { MOST_ROUNDS = 7, WITHOUT_NUMPY = 77 };

static const double target = 1.05;

static const struct way {
    const char *name, *minimum; /* NULL: not recorded */
} ways[WAYS] = {
    [PLAIN] = {"plain", NULL},
    [EVERY_BLOCK] = {"recorded, every block", "1"},
    [LARGE_BLOCKS] = {"recorded, from 64 KiB", "64KiB"},
};

static const char *const script = "try:\n"
                                  "    import numpy as np\n"
                                  "except ImportError:\n"
                                  "    raise SystemExit(77)\n"
                                  "r = np.random.default_rng(1)\n"
                                  "x = r.standard_normal((2000, 96))\n"
                                  "w, v = r.standard_normal((96, 128)), r.standard_normal((128, 10))\n"
                                  "for i in range(20):\n"
                                  "    for b in range(0, 2000, 250):\n"
                                  "        y = x[b:b + 250]\n"
                                  "        h = np.maximum(y @ w, 0)\n"
                                  "        s = np.exp(np.tanh(h @ v))\n"
                                  "        e = s / s.sum(axis=1, keepdims=True) - 0.1\n"
                                  "        g = (e @ v.T) * (h > 0)\n"
                                  "        v -= 0.01 * (h.T @ e) / 250\n"
                                  "        w -= 0.01 * (y.T @ g) / 250\n";

/* The second is the system's own, where the first one is not and lacks NumPy. */
static const char *const interpreters[] = {"python3", "/usr/bin/python3"};

static void become(const struct way *way, const char *python, const char *trace) {
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    if (way->minimum) {
        execl("/proc/self/exe", "tarn", "record", "--min-size", way->minimum, "-o", trace, "--", python, "-c", script,
              (char *)NULL);
    } else {
        execlp(python, python, "-c", script, (char *)NULL);
    }
    _exit(WITHOUT_NUMPY);
}

/* Processor seconds of one run; below zero where it did not end well. */
static double run_once(const struct way *way, const char *python, const char *trace) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) become(way, python, trace);
    int status = -1;
    struct rusage usage = {0};
    while (child > 0 && wait4(child, &status, 0, &usage) < 0 && errno == EINTR) continue;
    if (status != 0) return -1;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static bool run_rounds(size_t rounds, const char *python, const char *trace, double out_seconds[WAYS]) {
    double seconds[WAYS][MOST_ROUNDS];
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < WAYS; i++) {
            seconds[i][round] = run_once(&ways[i], python, trace);
            if (seconds[i][round] < 0) return false;
        }
    }
    for (size_t i = 0; i < WAYS; i++) out_seconds[i] = bench_median(seconds[i], rounds);
    return true;
}

static void print_table(const double seconds[WAYS], size_t rounds) {
    printf("record: processor time of a NumPy training loop, medians of %zu rounds\n", rounds);
    tool_table table = {.columns = 5, .left = 1u << 4};
    const char *const header[] = {"run", "time", "against plain", "target", ""};
    for (size_t i = 0; i < 5; i++) table_add(&table, "%s", header[i]);
    char text[TOOL_TEXT];
    for (size_t i = 0; i < WAYS; i++) {
        double ratio = seconds[i] / seconds[PLAIN];
        table_add(&table, "%s", ways[i].name);
        table_add(&table, "%s", bench_duration(seconds[i] * 1e9, text));
        table_add(&table, "%.3f", ratio);
        if (i == PLAIN) table_add(&table, "%s", "");
        else table_add(&table, "< %.3g", target);
        table_add(&table, "%s", i == PLAIN ? "" : ratio < target ? "met" : "short");
    }
    table_print(&table);
}

/* Programs that the recorded one started have left traces of their own beside its trace. */
static void remove_folder(const char *folder) {
    char pattern[64];
    glob_t files;
    snprintf(pattern, sizeof pattern, "%s/*", folder);
    if (glob(pattern, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc; i++) unlink(files.gl_pathv[i]);
        globfree(&files);
    }
    rmdir(folder);
}

static json_t *to_json(const double seconds[WAYS], size_t rounds) {
    json_t *results = json_array();
    for (size_t i = 0; i < WAYS; i++) {
        double ratio = seconds[i] / seconds[PLAIN];
        json_array_append_new(results, json_pack("{s:s,s:f,s:f,s:f,s:o}", "run", ways[i].name, "seconds", seconds[i],
                                                 "times_plain", ratio, "target", target, "met",
                                                 i == PLAIN ? json_null() : json_boolean(ratio < target)));
    }
    return json_pack("{s:s,s:o,s:o}", "benchmark", "record", "rounds", tool_json_size(rounds), "results", results);
}

int bench_record(const bench_options *options, json_t **out_result) {
    char folder[] = "/tmp/tarn-benchXXXXXX", trace[sizeof folder + sizeof "/trace"];
    if (!mkdtemp(folder)) {
        tool_say(BENCH_COMMAND, "%s: %s", folder, strerror(errno));
        return TOOL_INPUT;
    }
    snprintf(trace, sizeof trace, "%s/trace", folder);
    size_t rounds = options->trial ? 1 : options->quick ? 3 : MOST_ROUNDS;
    double seconds[WAYS];
    bool is_measured = false;
    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0] && !is_measured; i++) {
        is_measured = run_rounds(rounds, interpreters[i], trace, seconds);
    }
    remove_folder(folder);
    if (!is_measured) {
        if (!options->as_json) puts("record: skipped, python3 with NumPy does not run here");
        *out_result = json_pack("{s:s,s:n}", "benchmark", "record", "results");
    } else {
        if (!options->as_json) print_table(seconds, rounds);
        *out_result = to_json(seconds, rounds);
    }
    return *out_result ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
