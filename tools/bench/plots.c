/* Plots of a suite, one picture for each family: gnuplot is given a script with the figures in it, and what it draws becomes a file when it is whole.
 * Both axes are logarithmic, since what fits a cache is many times as fast as what does not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "base/output.h"
#include "child.h"
#include "computing.h"

enum {
    PANEL_WIDTH = 520,
    PANEL_HEIGHT = 340,
    TITLE_HEIGHT = 50,
    KEY_HEIGHT = 56,
    COLUMNS = 2,
    LIMIT_STYLE = CONTENDERS + 1
};

/* Of the contenders, in their order. */
static const char *const styles[CONTENDERS] = {"lc rgb '#7fb2e5' lw 2 pt 7 ps 0.5", "lc rgb '#1261b0' lw 3 pt 7 ps 0.7",
                                               "lc rgb '#3f9e4d' lw 2 pt 5 ps 0.5", "lc rgb '#f0a58f' lw 2 pt 9 ps 0.6",
                                               "lc rgb '#c8401f' lw 2 pt 9 ps 0.7"};

static void become_gnuplot(const void *context) {
    const char *option = context;
    execlp("gnuplot", "gnuplot", option, (char *)NULL);
}

static bool read_nothing(void *context, FILE *output) {
    char line[256];
    (void)context;
    while (fgets(line, sizeof line, output) != NULL) continue;
    return true;
}

static bool read_picture(void *context, FILE *output) {
    char part[4096];
    size_t length, whole = 0;
    while ((length = fread(part, 1, sizeof part, output)) > 0) {
        base_output_bytes(context, part, length);
        whole += length;
    }
    return whole > 0 && !ferror(output);
}

int plots_check(const char *folder) {
    const bench_child version = {.become = become_gnuplot, .become_context = "--version", .read = read_nothing};
    if (child_run(&version) != 0) {
        tool_say(BENCH_COMMAND,
                 "--svg: gnuplot, which draws the plots, does not run here (Debian's package gnuplot-nox)");
        return TOOL_INPUT;
    }
    struct stat status;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        tool_say(BENCH_COMMAND, "%s: the folder cannot be made: %s", folder, strerror(errno));
        return TOOL_INPUT;
    }
    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode) || access(folder, W_OK | X_OK) != 0) {
        tool_say(BENCH_COMMAND, "%s: this is no folder that plots can be written to", folder);
        return TOOL_INPUT;
    }
    return TOOL_DONE;
}

static bool is_of(const suite_point *point, const suite_panel *panel) {
    return strcmp(point->work->name, panel->work) == 0;
}

/* Whether a contender has a point in one of the panels. */
static bool is_measured(const suite_results *results, const suite_panel *panels, size_t count, int contender) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < results->count; k++)
            if (is_of(&results->points[k], &panels[i]) && results->points[k].ns[contender] > 0) return true;
    return false;
}

/* Orders points by their elements. */
static int compare(const void *left, const void *right) {
    const suite_point *a = *(const suite_point *const *)left, *b = *(const suite_point *const *)right;
    return (a->elements > b->elements) - (a->elements < b->elements);
}

static size_t points_of(const suite_results *results, const suite_panel *panel,
                        const suite_point *out_points[SUITE_MOST_POINTS]) {
    size_t count = 0;
    for (size_t i = 0; i < results->count; i++)
        if (is_of(&results->points[i], panel)) out_points[count++] = &results->points[i];
    qsort(out_points, count, sizeof(const suite_point *), compare);
    return count;
}

static const char *unit_of(const bench_work *work) { return work->limit == LIMIT_ARITHMETIC ? "GFLOP/s" : "GB/s"; }

/* A block of data for each contender that was measured: elements, rate. */
static void put_data(FILE *script, const suite_results *results, const suite_panel *panel) {
    const suite_point *points[SUITE_MOST_POINTS];
    size_t count = points_of(results, panel, points);
    for (int c = 0; c < CONTENDERS; c++) {
        if (!is_measured(results, panel, 1, c)) continue;
        fprintf(script, "$data%d << END\n", c);
        for (size_t i = 0; i < count; i++) {
            if (points[i]->ns[c] <= 0) continue;
            double amount = work_amount(points[i]->work, points[i]->elements);
            fprintf(script, "%zu %.6g\n", work_elements(points[i]->work, points[i]->elements),
                    amount / points[i]->ns[c]);
        }
        fprintf(script, "END\n");
    }
}

static void put_panel(FILE *script, const suite_results *results, const suite_panel *panel) {
    const bench_work *work = work_find(panel->work);
    put_data(script, results, panel);
    fprintf(script, "set title \"%s\" noenhanced\nset ylabel '%s'\nplot ", panel->title, unit_of(work));
    double limit = results->limits[work->limit];
    if (limit > 0) fprintf(script, "%.6g with lines ls %d notitle, ", limit, LIMIT_STYLE);
    for (int c = 0; c < CONTENDERS; c++) {
        /* Tarn lies on top. */
        int contender = (c + NUMPY) % CONTENDERS;
        if (!is_measured(results, panel, 1, contender)) continue;
        fprintf(script, "$data%d with linespoints ls %d notitle, ", contender, contender + 1);
    }
    fprintf(script, "NaN notitle\n");
}

/* The key is common to all panels: a plot of its own, without axes. */
static void put_key(FILE *script, const suite_results *results, const suite_panel *panels, size_t count,
                    double height) {
    bool is_arithmetic = work_find(panels[0].work)->limit == LIMIT_ARITHMETIC;
    fprintf(script,
            "set origin 0, 0\nset size 1, %.4f\n"
            "unset logscale\nunset grid\nunset border\nunset tics\nunset xlabel\nunset ylabel\nunset title\n"
            "set lmargin at screen 0.02\nset rmargin at screen 0.98\nset xrange [0:1]\nset yrange [0:1]\n"
            "set key center center horizontal Left reverse samplen 2 width -2 maxrows 2 font ',13'\nplot NaN notitle",
            KEY_HEIGHT / height);
    for (int c = 0; c < CONTENDERS; c++)
        if (is_measured(results, panels, count, c))
            fprintf(script, ", keyentry with linespoints ls %d title '%s'", c + 1, contender_names[c]);
    fprintf(script, ", keyentry with lines ls %d title '%s'\nunset multiplot\n", LIMIT_STYLE,
            is_arithmetic ? "limit: multiply, add" : "limit: memory");
}

static void put_settings(FILE *script, const suite_results *results, const suite_panel *panels, double height) {
    size_t most = panels[0].most < results->largest ? panels[0].most : results->largest;
    fprintf(script, "set terminal svg size %d,%.0f dynamic enhanced font 'sans-serif,13' background '#ffffff'\n",
            COLUMNS * PANEL_WIDTH, height);
    for (int c = 0; c < CONTENDERS; c++) fprintf(script, "set style line %d %s\n", c + 1, styles[c]);
    fprintf(script, "set style line %d lc rgb '#444444' lw 1.5 dt 2\n", LIMIT_STYLE);
    fprintf(
        script,
        "set border 3 lc rgb '#888888'\nset tics nomirror textcolor rgb '#444444'\nset grid lc rgb '#e4e4e4' lt 1\n"
        "set lmargin 9\nset rmargin 3\nset logscale xy\nset format x '10^{%%L}'\nunset mxtics\nset xlabel 'elements'\n"
        "unset key\nset xrange [400:%.4g]\nset multiplot\n"
        "set label 1 '%s, float32, 1 thread and %u' at screen 0.5, %.4f center font ',17' noenhanced\n",
        1.4 * (double)most, panels[0].family, results->threads, 1 - 0.5 * TITLE_HEIGHT / height);
}

/* NULL without memory. The caller frees it. */
static char *make_script(const suite_results *results, const suite_panel *panels, size_t count) {
    char *text = NULL;
    size_t length = 0, lines = (count + COLUMNS - 1) / COLUMNS;
    double height = (double)(lines * PANEL_HEIGHT + TITLE_HEIGHT + KEY_HEIGHT);
    FILE *script = open_memstream(&text, &length);
    if (script == NULL) return NULL;
    put_settings(script, results, panels, height);
    for (size_t i = 0; i < count; i++) {
        size_t line = i / COLUMNS, column = i % COLUMNS;
        double bottom = height - TITLE_HEIGHT - (double)(line + 1) * PANEL_HEIGHT;
        fprintf(script, "set origin %.4f, %.4f\nset size %.4f, %.4f\n", (double)column / COLUMNS, bottom / height,
                1.0 / COLUMNS, PANEL_HEIGHT / height);
        put_panel(script, results, &panels[i]);
        if (i == 0) fprintf(script, "unset label 1\n");
    }
    put_key(script, results, panels, count, height);
    if (fclose(script) == 0) return text;
    free(text);
    return NULL;
}

/* Has gnuplot draw into an output that is open. */
static int draw(const char *script, base_output *output, const char *path) {
    int ended = child_run(&(bench_child){.become = become_gnuplot,
                                         .become_context = "-",
                                         .input = script,
                                         .read = read_picture,
                                         .read_context = output});
    if (ended != 0) {
        base_output_discard(output);
        tool_say(BENCH_COMMAND, "%s: gnuplot did not draw it (status %d)", path, ended);
        return TOOL_INPUT;
    }
    tarn_status status = base_output_close(output);
    return status == TARN_OK ? TOOL_DONE : tool_fail(BENCH_COMMAND, path, status);
}

static int write_family(const suite_results *results, const suite_panel *panels, size_t count, const char *path) {
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, path, status);
    char *script = make_script(results, panels, count);
    int code = TOOL_MEMORY;
    if (script != NULL) {
        code = draw(script, &output, path);
    } else {
        base_output_discard(&output);
        tool_no_memory(BENCH_COMMAND);
    }
    free(script);
    return code;
}

static json_t *panel_json(const suite_results *results, const suite_panel *panel) {
    const suite_point *points[SUITE_MOST_POINTS];
    size_t count = points_of(results, panel, points);
    const bench_work *work = work_find(panel->work);
    double limit = results->limits[work->limit];
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t elements = points[i]->elements;
        json_array_append_new(list,
                              json_pack("{s:o,s:f,s:o}", "elements", tool_json_size(work_elements(work, elements)),
                                        "amount", work_amount(work, elements), "ns", suite_times(points[i])));
    }
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "work", work->name, "title", panel->title, "unit", unit_of(work), "limit",
                     limit > 0 ? json_real(limit) : json_null(), "points", list);
}

int plots_write(const bench_suite *suite, const suite_results *results, const bench_options *options,
                json_t *inout_json) {
    json_t *plots = json_array();
    json_object_set_new(inout_json, "plots", plots);
    for (size_t i = 0, count; i < suite->panel_count; i += count) {
        const suite_panel *panels = &suite->panels[i];
        char path[4096];
        json_t *list = json_array();
        for (count = 0; i + count < suite->panel_count; count++) {
            if (strcmp(panels[count].family, panels[0].family) != 0) break;
            json_array_append_new(list, panel_json(results, &panels[count]));
        }
        snprintf(path, sizeof path, "%s/%s.svg", options->plots, panels[0].family);
        json_array_append_new(plots, json_pack("{s:s,s:o,s:o}", "family", panels[0].family, "file",
                                               tool_json_text(path), "panels", list));
        int code = write_family(results, panels, count, path);
        if (code != TOOL_DONE) return code;
        if (!options->as_json) tool_print_text(path), putchar('\n');
    }
    return TOOL_DONE;
}
