/* `tarn bench ops`: operations on tensors beside NumPy, PyTorch and what the machine can do, in one run.
 *
 * Each contender is measured in a process of its own, with its number of threads in the environment before anything starts: this program
 * once more for Tarn, Python for the others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "base/thread.h"
#include "harness.h"
#include "operations.h"
#include "operations_rows.h"

enum { TARN_ONE, TARN_ALL, NUMPY, TORCH_ONE, TORCH_ALL, CONTENDERS };

static const char *const contender_names[CONTENDERS] = {"Tarn, 1 thread", "Tarn", "NumPy", "PyTorch, 1 thread",
                                                        "PyTorch"};

/* What a row is held against, as in the project's list of targets. */
typedef enum target_kind { AGAINST_NUMPY, AGAINST_LIMIT, AGAINST_BOTH, AGAINST_TORCH } target_kind;

static const struct row {
    const char *name;
    target_kind kind;
    double target; /* how many times as fast as that, at least */
} rows[OPERATION_ROWS] = {
    [ROW_ADD_SMALL] = {"add, 1,000", AGAINST_NUMPY, 1},
    [ROW_ADD] = {"add, large", AGAINST_LIMIT, 0.9},
    [ROW_CHAIN] = {"relu(x*w + x), large", AGAINST_LIMIT, 0.85},
    [ROW_TANH] = {"tanh, 1,000,000", AGAINST_BOTH, 1},
    [ROW_EXP] = {"exp, 1,000,000", AGAINST_BOTH, 1},
    [ROW_SUM] = {"sum, large", AGAINST_TORCH, 1},
    [ROW_MATMUL] = {"matmul, 1024", AGAINST_TORCH, 0.95},
    [ROW_CONV2D] = {"conv2d, 8x64x56x56, 64 3x3", AGAINST_TORCH, 0.95},
};

typedef struct measured {
    double ns[CONTENDERS][OPERATION_ROWS]; /* below 0: not measured */
    double limit_ns[OPERATION_ROWS];       /* of memory, with all threads; below 0: it is not memory that limits */
} measured;

static const char *const interpreters[] = {"/usr/bin/python3", "python3"};

/* In the child. */
static void become_tarn(unsigned threads, const char *argument) {
    char option[64], count[16];
    snprintf(option, sizeof option, "--" OPERATIONS_OPTION "=%s", argument);
    snprintf(count, sizeof count, "%u", threads);
    setenv("TARN_NUM_THREADS", count, 1);
    execl("/proc/self/exe", "tarn", "bench", option, (char *)NULL);
    _exit(126);
}

static void become_python(const char *interpreter, const char *library, unsigned threads, size_t elements,
                          size_t rounds) {
    char count[16], number[32], round_count[32];
    snprintf(count, sizeof count, "%u", threads);
    snprintf(number, sizeof number, "%zu", elements);
    snprintf(round_count, sizeof round_count, "%zu", rounds);
    setenv("OMP_NUM_THREADS", count, 1);
    setenv("OPENBLAS_NUM_THREADS", count, 1);
    FILE *nowhere = freopen("/dev/null", "w", stderr);
    (void)nowhere;
    execlp(interpreter, interpreter, "-c", operations_script, library, count, number, round_count, (char *)NULL);
    _exit(126);
}

/* Reads a line for each row. */
static bool read_rows(FILE *input, double *out_ns) {
    char line[64];
    for (int row = 0; row < OPERATION_ROWS; row++) {
        if (fgets(line, sizeof line, input) == NULL) return false;
        out_ns[row] = line[0] == '-' ? -1 : strtod(line, NULL);
    }
    return true;
}

typedef struct contender {
    const char *interpreter, *library; /* NULL: Tarn */
    unsigned threads;
} contender;

static bool measure(const contender *who, size_t elements, size_t rounds, double *out_ns) {
    int ends[2];
    char argument[64];
    double ns[OPERATION_ROWS];
    snprintf(argument, sizeof argument, "%zu:%zu", elements, rounds);
    if (pipe(ends) != 0) return false;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        if (dup2(ends[1], STDOUT_FILENO) < 0) _exit(126);
        if (who->library == NULL) become_tarn(who->threads, argument);
        become_python(who->interpreter, who->library, who->threads, elements, rounds);
    }
    close(ends[1]);
    FILE *input = child > 0 ? fdopen(ends[0], "r") : NULL;
    bool is_read = input != NULL && read_rows(input, ns);
    if (input != NULL) fclose(input);
    else close(ends[0]);
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!is_read || status != 0) return false;
    memcpy(out_ns, ns, sizeof ns);
    return true;
}

int operations_child(const char *argument) {
    char *end;
    double ns[OPERATION_ROWS];
    size_t elements = strtoul(argument, &end, 10), rounds = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
    if (elements == 0 || rounds == 0) return TOOL_USAGE;
    tarn_status status = rows_measure(elements, rounds, ns);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, "ops", status);
    for (int row = 0; row < OPERATION_ROWS; row++) printf("%.17g\n", ns[row]);
    return TOOL_DONE;
}

static bool measure_python(const char *library, unsigned threads, size_t elements, size_t rounds, double *out_ns) {
    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++) {
        contender peer = {.interpreter = interpreters[i], .library = library, .threads = threads};
        if (measure(&peer, elements, rounds, out_ns)) return true;
    }
    return false;
}

/* False when Tarn itself cannot be measured. */
static bool measure_all(size_t elements, size_t rounds, measured *out) {
    unsigned all = base_processor_count();
    double pass_ns, read_ns;
    for (int c = 0; c < CONTENDERS; c++)
        for (int row = 0; row < OPERATION_ROWS; row++) out->ns[c][row] = -1;
    for (int row = 0; row < OPERATION_ROWS; row++) out->limit_ns[row] = -1;
    if (rows_limits(elements, rounds, all, &pass_ns, &read_ns)) {
        out->limit_ns[ROW_ADD] = out->limit_ns[ROW_CHAIN] = pass_ns;
        out->limit_ns[ROW_SUM] = read_ns;
    }
    bool is_measured = measure(&(contender){.threads = 1}, elements, rounds, out->ns[TARN_ONE]) &&
                       measure(&(contender){.threads = all}, elements, rounds, out->ns[TARN_ALL]);
    measure_python("numpy", 1, elements, rounds, out->ns[NUMPY]);
    measure_python("torch", 1, elements, rounds, out->ns[TORCH_ONE]);
    measure_python("torch", all, elements, rounds, out->ns[TORCH_ALL]);
    return is_measured;
}

static double least(double a, double b) { return a < 0 ? b : b < 0 ? a : a < b ? a : b; }

/* What the row is held against, in nanoseconds; below 0 where that was not measured. */
static double reference_of(const measured *all, int row) {
    double torch = least(all->ns[TORCH_ONE][row], all->ns[TORCH_ALL][row]);
    switch (rows[row].kind) {
    case AGAINST_NUMPY: return all->ns[NUMPY][row];
    case AGAINST_LIMIT: return all->limit_ns[row];
    case AGAINST_BOTH: return least(all->ns[NUMPY][row], torch);
    default: return torch;
    }
}

/* How many times as fast as its reference a row is; below 0 where there is none. */
static double ratio_of(const measured *all, int row) {
    double reference = reference_of(all, row);
    return reference < 0 ? -1 : reference / least(all->ns[TARN_ONE][row], all->ns[TARN_ALL][row]);
}

static const char *reference_name(target_kind kind) {
    static const char *const names[] = {"NumPy", "memory", "NumPy, PyTorch", "PyTorch"};
    return names[kind];
}

static void add_time(tool_table *table, double ns) {
    char text[TOOL_TEXT];
    table_add(table, "%s", ns < 0 ? "-" : bench_duration(ns, text));
}

static void print_table(const measured *all, size_t elements, size_t rounds) {
    static const char *const header[] = {"operation", "Tarn 1",  "Tarn all", "NumPy",  "PyTorch 1", "PyTorch all",
                                         "memory",    "against", "times",    "target", ""};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    char text[TOOL_TEXT];
    printf("ops: f32, large ones of %s elements, medians of %zu rounds; 1 thread, and all %u\n",
           tool_count(elements, text), rounds, base_processor_count());
    tool_table table = {.columns = COLUMNS, .left = 1u | 1u << 7 | 1u << 10};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&table, "%s", header[i]);
    for (int row = 0; row < OPERATION_ROWS; row++) {
        double ratio = ratio_of(all, row);
        table_add(&table, "%s", rows[row].name);
        for (int c = 0; c < CONTENDERS; c++) add_time(&table, all->ns[c][row]);
        add_time(&table, all->limit_ns[row]);
        table_add(&table, "%s", reference_name(rows[row].kind));
        if (ratio < 0) table_add(&table, "-");
        else table_add(&table, "%.2f", ratio);
        table_add(&table, ">= %.2f", rows[row].target);
        table_add(&table, "%s", ratio < 0 ? "" : ratio >= rows[row].target ? "met" : "short");
    }
    table_print(&table);
}

static json_t *time_json(double ns) { return ns < 0 ? json_null() : json_real(ns); }

static json_t *to_json(const measured *all, size_t elements, size_t rounds) {
    json_t *results = json_array();
    for (int row = 0; row < OPERATION_ROWS; row++) {
        double ratio = ratio_of(all, row);
        json_t *times = json_object();
        for (int c = 0; c < CONTENDERS; c++) json_object_set_new(times, contender_names[c], time_json(all->ns[c][row]));
        json_array_append_new(results, json_pack("{s:s,s:o,s:o,s:s,s:o,s:f,s:o}", "operation", rows[row].name, "ns",
                                                 times, "memory_ns", time_json(all->limit_ns[row]), "against",
                                                 reference_name(rows[row].kind), "times_as_fast", time_json(ratio),
                                                 "target", rows[row].target, "met",
                                                 ratio < 0 ? json_null() : json_boolean(ratio >= rows[row].target)));
    }
    return json_pack("{s:s,s:o,s:o,s:o,s:o}", "benchmark", "ops", "elements", tool_json_size(elements), "rounds",
                     tool_json_size(rounds), "threads", tool_json_size(base_processor_count()), "results", results);
}

int bench_operations(const bench_options *options, json_t **out_result) {
    size_t elements = options->quick ? 10000000 : 100000000, rounds = options->quick ? 3 : 9;
    measured all;
    if (!measure_all(elements, rounds, &all)) {
        tool_say(BENCH_COMMAND, "ops: the operations could not be measured; is there memory for %zu elements?",
                 elements);
        return TOOL_MEMORY;
    }
    if (!options->as_json) print_table(&all, elements, rounds);
    *out_result = to_json(&all, elements, rounds);
    return *out_result != NULL ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
