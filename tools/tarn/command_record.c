/* `tarn record`: runs a command with the recorder preloaded, and returns the command's own exit status.
 *
 * The tool only finds the recorder, names the file and the smallest size in the environment, and becomes the command. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#ifndef TARN_RECORDER_FOLDER
#define TARN_RECORDER_FOLDER "../lib/tarn"
#endif

static const char *const command = "tarn record";
static const char *const recorder = "libtarn-record.so";

/* As a shell returns them. */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

typedef struct record_options {
    const char *output;
    const char *minimum; /* as given; checked while parsing */
    char **program;      /* ends with NULL */
} record_options;

enum { OPTION_MINIMUM = 'm', OPTION_OUTPUT = 'o' };

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    record_options *options = state->input;
    uint64_t minimum;
    switch (key) {
    case OPTION_MINIMUM:
        if (tarn_size_parse(argument, &minimum) != TARN_OK) argp_error(state, "--min-size: %s", tarn_last_error());
        options->minimum = argument;
        return 0;
    case OPTION_OUTPUT: options->output = argument; return 0;
    case ARGP_KEY_ARG:
        options->program = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "no command given"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The recorder that TARN_RECORD_LIBRARY names, else the one beside the tool in a build tree, else the installed one. The
 * caller frees it; NULL when there is none. */
static char *find_recorder(void) {
    const char *named = getenv("TARN_RECORD_LIBRARY");
    if (named != NULL && named[0] != '\0') return realpath(named, NULL);
    char *tool = realpath("/proc/self/exe", NULL);
    if (tool == NULL) return NULL;
    char *slash = strrchr(tool, '/');
    if (slash != NULL) *slash = '\0';
    static const char *const folders[] = {".", TARN_RECORDER_FOLDER};
    char *found = NULL;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && found == NULL; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s/%s", tool, folders[i], recorder) < 0) break;
        found = realpath(path, NULL);
        free(path);
    }
    free(tool);
    return found;
}

/* An absolute path, so that a command which changes its folder still writes where it was asked to. The caller frees it. */
static char *absolute_path(const char *path) {
    if (path[0] == '/') return strdup(path);
    char *folder = getcwd(NULL, 0), *absolute = NULL;
    if (folder == NULL || asprintf(&absolute, "%s/%s", folder, path) < 0) absolute = NULL;
    free(folder);
    return absolute;
}

/* Puts the recorder before whatever is preloaded already. */
static bool preload(const char *library) {
    const char *others = getenv("LD_PRELOAD");
    if (others == NULL || others[0] == '\0') return setenv("LD_PRELOAD", library, 1) == 0;
    char *list = NULL;
    if (asprintf(&list, "%s:%s", library, others) < 0) return false;
    bool is_set = setenv("LD_PRELOAD", list, 1) == 0;
    free(list);
    return is_set;
}

static bool set_environment(const char *library, const record_options *options) {
    char *output = absolute_path(options->output), bytes[32];
    uint64_t minimum = 0;
    bool is_set = output != NULL && setenv("TARN_RECORD_FILE", output, 1) == 0;
    free(output);
    if (is_set && options->minimum != NULL && tarn_size_parse(options->minimum, &minimum) == TARN_OK) {
        snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)minimum);
        is_set = setenv("TARN_RECORD_MIN_SIZE", bytes, 1) == 0;
    }
    return is_set && preload(library);
}

int record_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"min-size", OPTION_MINIMUM, "SIZE", 0, "Leave out blocks smaller than SIZE", 0},
        {"output", OPTION_OUTPUT, "FILE", 0, "Write the trace to FILE (default: tarn.trace)", 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "-- COMMAND [ARGUMENT…]",
        .doc =
            "Runs COMMAND and records its malloc, calloc, realloc, aligned and free calls and its large mappings, with thread "
            "and call site. The exit status is that of COMMAND; 127 when it is not found, 126 when it cannot be run."
            "\vExample:\n\n  tarn record --min-size 64K -o numpy.trace -- python3 train.py",
    };
    record_options options = {.output = "tarn.trace"};
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options) != 0) return TOOL_USAGE;

    char *library = find_recorder();
    if (library == NULL) {
        tool_say(command, "%s is not found; TARN_RECORD_LIBRARY may name it", recorder);
        return TOOL_INPUT;
    }
    bool is_set = set_environment(library, &options);
    free(library);
    if (!is_set) return tool_no_memory(command);
    signal(SIGPIPE, SIG_DFL);
    execvp(options.program[0], options.program);
    int error = errno;
    tool_say(command, "%s: cannot be run: %s", options.program[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
