/* `tarn bench alloc`: the host's cost of one allocation and its free, Tarn beside the allocators that are installed here.
 *
 * Machines drift: so the contenders take turns, round after round, and the figure of each is the median of its rounds. What
 * is compared are ratios of one run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "harness.h"
#include "patterns.h"
#include "peers.h"
#include "tarn/progress.h"

enum { GLIBC, MIMALLOC, JEMALLOC, TCMALLOC, CACHING, DIRECT, PEERS };
enum { MOST_PATTERNS = 32, MOST_ROUNDS = 7 };

static const bench_peer all_peers[PEERS] = {
    [GLIBC] = {.name = "glibc"},
    [MIMALLOC] = {.name = "mimalloc", .library = "libmimalloc.so.2*"},
    [JEMALLOC] = {.name = "jemalloc", .library = "libjemalloc.so.2*"},
    [TCMALLOC] = {.name = "tcmalloc", .library = "libtcmalloc_minimal.so.4*"},
    [CACHING] = {.name = "caching", .spec = "caching"},
    [DIRECT] = {.name = "direct", .spec = "direct"},
};

typedef struct alloc_figures {
    bench_peer peers[PEERS];
    size_t rounds;
    double rounds_ns[PEERS][MOST_PATTERNS][MOST_ROUNDS];
    double ns[PEERS][MOST_PATTERNS]; /* medians */
} alloc_figures;

/* What a pattern's figure of `caching` is, what it must not pass, and how the limit came about. */
typedef struct alloc_verdict {
    bool is_known, is_met;
    double value, limit;
    char text[TOOL_TEXT];
} alloc_verdict;

static void run_rounds(alloc_figures *figures, double budget_ns) {
    tool_progress progress = {.total_runs = figures->rounds};
    for (size_t round = 0; round < figures->rounds; round++) {
        progress_begin(&progress, "alloc", "round", PEERS);
        for (size_t i = 0; i < PEERS; i++) {
            double ns[MOST_PATTERNS];
            progress_step(&progress);
            if (!figures->peers[i].is_present || !peer_measure(&figures->peers[i], budget_ns, ns)) continue;
            for (size_t k = 0; k < bench_pattern_count; k++) figures->rounds_ns[i][k][round] = ns[k];
        }
        progress_end(&progress);
    }
    for (size_t i = 0; i < PEERS; i++) {
        for (size_t k = 0; k < bench_pattern_count && figures->peers[i].is_present; k++) {
            figures->ns[i][k] = bench_median(figures->rounds_ns[i][k], figures->rounds);
        }
    }
}

/* The fastest of the peers that are here. */
static double best_peer(const alloc_figures *figures, size_t pattern) {
    double best = 0;
    for (size_t i = GLIBC; i <= TCMALLOC; i++) {
        if (!figures->peers[i].is_present) continue;
        if (best == 0 || figures->ns[i][pattern] < best) best = figures->ns[i][pattern];
    }
    return best;
}

static alloc_verdict judge(const alloc_figures *figures, size_t pattern) {
    const bench_pattern *about = &bench_patterns[pattern];
    alloc_verdict verdict = {.value = figures->ns[CACHING][pattern], .limit = about->limit};
    double divisor = 1;
    verdict.is_known = figures->peers[CACHING].is_present;
    switch (about->target) {
    case TARGET_TIMES_TCMALLOC:
        snprintf(verdict.text, sizeof verdict.text, "≤ %.3g × tcmalloc", about->limit);
        verdict.is_known = verdict.is_known && figures->peers[TCMALLOC].is_present;
        if (verdict.is_known) divisor = figures->ns[TCMALLOC][pattern];
        break;
    case TARGET_TIMES_BEST:
        snprintf(verdict.text, sizeof verdict.text, "≤ %.3g × the best", about->limit);
        divisor = best_peer(figures, pattern);
        verdict.is_known = verdict.is_known && divisor > 0;
        break;
    case TARGET_NANOSECONDS: snprintf(verdict.text, sizeof verdict.text, "≤ %.3g ns", about->limit); break;
    case TARGET_SCALING:
        snprintf(verdict.text, sizeof verdict.text, "≥ %.3g × one thread", about->limit);
        if (verdict.is_known) verdict.value = figures->ns[CACHING][pattern - 1] / figures->ns[CACHING][pattern];
        verdict.is_met = verdict.is_known && verdict.value >= about->limit;
        return verdict;
    case TARGET_NONE: verdict.is_known = false; return verdict;
    }
    if (verdict.is_known) verdict.value /= divisor;
    verdict.is_met = verdict.is_known && verdict.value <= about->limit;
    return verdict;
}

static void add_verdict(tool_table *table, const bench_pattern *pattern, const alloc_verdict *verdict) {
    char text[TOOL_TEXT];
    if (!verdict->is_known) table_add(table, "-");
    else if (pattern->target == TARGET_NANOSECONDS) table_add(table, "%s", bench_duration(verdict->value, text));
    else table_add(table, "%.2f", verdict->value);
    table_add(table, "%s", verdict->text);
    table_add(table, "%s", !verdict->is_known ? "" : verdict->is_met ? "met" : "short");
}

static void print_table(const alloc_figures *figures) {
    printf("alloc: time of one allocation and its free on the host, medians of %zu rounds\n", figures->rounds);
    tool_table table = {.columns = PEERS + 4, .left = 1u << (PEERS + 2) | 1u << (PEERS + 3)};
    char text[TOOL_TEXT];
    table_add(&table, "pattern");
    for (size_t i = 0; i < PEERS; i++) table_add(&table, "%s", figures->peers[i].name);
    table_add(&table, "caching against");
    table_add(&table, "target");
    table_add(&table, "%s", "");
    for (size_t k = 0; k < bench_pattern_count; k++) {
        table_add(&table, "%s", bench_patterns[k].name);
        for (size_t i = 0; i < PEERS; i++) {
            bool is_present = figures->peers[i].is_present;
            table_add(&table, "%s", is_present ? bench_duration(figures->ns[i][k], text) : "-");
        }
        alloc_verdict verdict = judge(figures, k);
        add_verdict(&table, &bench_patterns[k], &verdict);
    }
    table_print(&table);
    for (size_t i = 0; i < PEERS; i++) {
        if (figures->peers[i].is_present) continue;
        printf("  %s is absent: %s\n", figures->peers[i].name, figures->peers[i].reason);
    }
}

static json_t *pattern_json(const alloc_figures *figures, size_t pattern) {
    json_t *results = json_object(), *ratios = json_object();
    for (size_t i = 0; i < PEERS; i++) {
        if (!figures->peers[i].is_present) continue;
        json_object_set_new(results, figures->peers[i].name, json_real(figures->ns[i][pattern]));
        if (i > TCMALLOC || !figures->peers[CACHING].is_present) continue;
        json_object_set_new(ratios, figures->peers[i].name,
                            json_real(figures->ns[CACHING][pattern] / figures->ns[i][pattern]));
    }
    alloc_verdict verdict = judge(figures, pattern);
    return json_pack("{s:s,s:o,s:o,s:s,s:o,s:o}", "pattern", bench_patterns[pattern].name, "ns", results,
                     "caching_times_peer", ratios, "target", verdict.text, "value",
                     verdict.is_known ? json_real(verdict.value) : json_null(), "met",
                     verdict.is_known ? json_boolean(verdict.is_met) : json_null());
}

static json_t *to_json(const alloc_figures *figures) {
    json_t *absent = json_object(), *patterns = json_array();
    for (size_t i = 0; i < PEERS; i++) {
        if (figures->peers[i].is_present) continue;
        json_object_set_new(absent, figures->peers[i].name, tool_json_text(figures->peers[i].reason));
    }
    for (size_t k = 0; k < bench_pattern_count; k++) json_array_append_new(patterns, pattern_json(figures, k));
    return json_pack("{s:s,s:o,s:o,s:o}", "benchmark", "alloc", "rounds", tool_json_size(figures->rounds), "absent",
                     absent, "patterns", patterns);
}

int bench_alloc(const bench_options *options, json_t **out_result) {
    if (options->device != NULL) return device_allocations(options, out_result);
    alloc_figures *figures = calloc(1, sizeof *figures);
    if (!figures) return tool_no_memory(BENCH_COMMAND);
    memcpy(figures->peers, all_peers, sizeof all_peers);
    figures->rounds = options->trial ? 1 : options->quick ? 3 : MOST_ROUNDS;
    peers_find(figures->peers, PEERS);
    run_rounds(figures, options->trial ? 1e5 : options->quick ? 3e6 : 1e7);
    if (!options->as_json) print_table(figures);
    *out_result = to_json(figures);
    free(figures);
    return *out_result ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
