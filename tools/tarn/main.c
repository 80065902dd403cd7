/* The tarn command: finds the subcommand that is named, and hands it the rest.
 *
 * A subcommand is one line in the table below and one file, command_NAME.c. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "tool.h"

static const tool_command commands[] = {
    {"devices", "list every device, and why one is unavailable", devices_command},
    {"run", "run a workload on tensors, and say what it needed", run_command},
    {"replay", "drive allocators through traces, compare their needs", replay_command},
    {"inspect", "say what is in a trace: peak, holders, fragmentation", inspect_command},
    {"plan", "place buffers whose lifetimes are known, in least memory", plan_command},
    {"convert", "write a trace in another format", convert_command},
    {"record", "run a command and record its allocations", record_command},
    {"bench", "run the benchmarks beside the allocators installed here", bench_command},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_version(FILE *stream, struct argp_state *state) {
    (void)state;
    fprintf(stream, "tarn %s\n", tarn_version());
}

static char *list_commands(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC) return (char *)text;
    size_t size = 0;
    char *list = NULL;
    FILE *stream = open_memstream(&list, &size);
    if (stream == NULL) return (char *)text;
    fputs("Commands:\n", stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++) fprintf(stream, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs(
        "\n`tarn COMMAND --help` explains each. For example, to see what every allocator would have needed for a PyTorch job:\n\n"
        "  tarn replay snapshot.pickle --html report.html",
        stream);
    if (fclose(stream) == 0) return list;
    free(list);
    return (char *)text;
}

static int call_command(int argc, char **argv) {
    char name[64];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[0], commands[i].name) != 0) continue;
        snprintf(name, sizeof name, "tarn %s", commands[i].name);
        argv[0] = name;
        return commands[i].run(argc, argv);
    }
    tool_say("tarn", "unknown command '%s'; `tarn --help` lists the commands", argv[0]);
    return TOOL_USAGE;
}

/* The command's name ends tarn's own options: what follows belongs to the command. */
static error_t parse_option(int key, char *argument, struct argp_state *state) {
    (void)argument;
    int *first = state->input;
    if (key == ARGP_KEY_ARG) {
        *first = state->next - 1;
        state->next = state->argc;
        return 0;
    }
    if (key == ARGP_KEY_NO_ARGS) argp_error(state, "no command given");
    return ARGP_ERR_UNKNOWN;
}

/* A stream that the caller closed is held by a file that cannot be read or written: otherwise the next file to be opened would get its
 * number, and what is printed would end up in that file. A recorded command does not inherit it. */
static void hold_closed_streams(void) {
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++)
        if (fcntl(file, F_GETFD) < 0) open("/dev/null", (file == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

static bool is_output_closed;

/* What was printed has arrived only when the stream closes without an error. A reader that went away, or a full disk, must not
 * look like success. */
static int close_output(int result) {
    is_output_closed = true;
    if (ferror(stdout) == 0 && fflush(stdout) == 0 && close(STDOUT_FILENO) == 0) return result;
    tool_say("tarn", "cannot write to standard output%s%s", errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return result == TOOL_DONE ? TOOL_INPUT : result;
}

/* Behind --help and the like argp ends the program by itself. */
static void close_help(void) {
    if (!is_output_closed && close_output(TOOL_DONE) != TOOL_DONE) _exit(TOOL_INPUT);
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .parser = parse_option,
        .args_doc = "COMMAND [ARGUMENT…]",
        .doc = "Tensor memory: where it went, and what another allocator would have needed.\v",
        .help_filter = list_commands,
    };
    static char name[] = "tarn";
    argp_program_version_hook = print_version;
    argp_err_exit_status = TOOL_USAGE;
    hold_closed_streams();
    /* A closed pipe is then an error of the write, which close_output reports. */
    signal(SIGPIPE, SIG_IGN);
    if (atexit(close_help) != 0) return tool_no_memory(name);
    if (argc > 0) argv[0] = name;
    int first = argc;
    error_t error = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &first);
    if (error != 0) return TOOL_USAGE;
    return close_output(call_command(argc - first, argv + first));
}
