/* Contenders, each in a process of its own: this program once more, with the contender's library preloaded, measures the patterns and
 * prints one figure a line. So every one starts with a fresh heap, and the libraries never meet. */
#include "peers.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "harness.h"
#include "patterns.h"

static bool find_library(const char *name, char *out_path, size_t room) {
    static const char *const folders[] = {"/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib", "/usr/local/lib"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char pattern[128];
        snprintf(pattern, sizeof pattern, "%s/%s", folders[i], name);
        glob_t found;
        bool has_one = glob(pattern, 0, NULL, &found) == 0;
        if (has_one) snprintf(out_path, room, "%s", found.gl_pathv[0]);
        if (has_one) globfree(&found);
        if (has_one) return true;
    }
    return false;
}

void peers_find(bench_peer *peers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bench_peer *peer = &peers[i];
        peer->is_present = !peer->library || find_library(peer->library, peer->path, sizeof peer->path);
        if (!peer->is_present) snprintf(peer->reason, sizeof peer->reason, "%s is not installed", peer->library);
    }
}

typedef struct measurement {
    bench_peer *peer;
    double budget_ns;
    double *ns;
} measurement;

static void become_peer(const void *context) {
    const measurement *this = context;
    const bench_peer *peer = this->peer;
    char option[128];
    snprintf(option, sizeof option, "--" PEER_OPTION "=%s:%.0f", peer->spec ? peer->spec : "", this->budget_ns);
    if (peer->library) setenv("LD_PRELOAD", peer->path, 1);
    else unsetenv("LD_PRELOAD");
    execl("/proc/self/exe", "tarn", "bench", option, (char *)NULL);
}

/* The library that malloc came from in the child stands on the first line: a preload that did not work must not pass for one. */
static bool read_figures(void *context, FILE *input) {
    const measurement *this = context;
    bench_peer *peer = this->peer;
    char line[512];
    if (!fgets(line, sizeof line, input)) return false;
    const char *name = peer->library ? strrchr(peer->path, '/') + 1 : "libc";
    if (!peer->spec && !strstr(line, name)) {
        snprintf(peer->reason, sizeof peer->reason, "%s was preloaded, and malloc came from elsewhere", name);
        return false;
    }
    for (size_t i = 0; i < bench_pattern_count; i++) {
        if (!fgets(line, sizeof line, input)) return false;
        char *end;
        this->ns[i] = strtod(line, &end);
        if (end == line) return false;
    }
    return true;
}

bool peer_measure(bench_peer *peer, double budget_ns, double *out_ns) {
    measurement this = {.peer = peer, .budget_ns = budget_ns, .ns = out_ns};
    int status = child_run(
        &(bench_child){.become = become_peer, .become_context = &this, .read = read_figures, .read_context = &this});
    if (status == 0) return true;
    if (peer->reason[0] == '\0') snprintf(peer->reason, sizeof peer->reason, "its process failed (status %d)", status);
    return peer->is_present = false;
}

int peer_child(const char *argument) {
    const char *colon = strrchr(argument, ':');
    if (!colon) return TOOL_USAGE;
    char spec[96];
    snprintf(spec, sizeof spec, "%.*s", (int)(colon - argument), argument);
    double budget_ns = strtod(colon + 1, NULL);
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "malloc");
    printf("%s\n", symbol && dladdr(symbol, &info) ? info.dli_fname : "?");
    for (size_t i = 0; i < bench_pattern_count; i++) {
        double ns;
        tarn_status status = bench_measure(&bench_patterns[i], "cpu", spec[0] ? spec : NULL, budget_ns, &ns);
        if (status != TARN_OK) return tool_fail(BENCH_COMMAND, spec, status);
        printf("%.17g\n", ns);
    }
    return TOOL_DONE;
}
