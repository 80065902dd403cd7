/* What the commands of the tool share: exit codes, error lines, texts that are safe to print, JSON on stdout.
 *
 * A command is a function like main: it reads its options, does its work, prints its result and returns an exit code. Everything
 * that goes wrong is one line on stderr, "tarn replay: FILE: sentence". */
#ifndef TOOL_H
#define TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/tarn.h>

typedef enum tool_exit {
    TOOL_DONE = 0,
    TOOL_USAGE = 1,  /* wrong usage */
    TOOL_INPUT = 2,  /* bad input: a file, a name, a spec */
    TOOL_MEMORY = 3, /* ran, and memory did not suffice */
    TOOL_DEVICE = 4  /* a device failed */
} tool_exit;

typedef struct tool_command {
    const char *name;
    const char *summary;               /* for the list of commands */
    int (*run)(int argc, char **argv); /* argv[0] is "tarn NAME" */
} tool_command;

int devices_command(int argc, char **argv);
int replay_command(int argc, char **argv);
int inspect_command(int argc, char **argv);
int convert_command(int argc, char **argv);
int record_command(int argc, char **argv);
int plan_command(int argc, char **argv);
int run_command(int argc, char **argv);

/* The exit code that a failed call of the library stands for. */
tool_exit tool_exit_code(tarn_status status);
/* Prints "command: object: tarn_last_error()" and returns the exit code of `status`. The object is left out where it is NULL
 * or the sentence begins with it. */
int tool_fail(const char *command, const char *object, tarn_status status);
/* Prints "command: sentence" to stderr, control characters replaced. */
void tool_say(const char *command, const char *format, ...) TARN_PRINTF(2, 3);
/* Says that the host has no memory left, and returns TOOL_MEMORY. */
int tool_no_memory(const char *command);

/* A number that an option takes; anything else is wrong usage and ends the program. */
struct argp_state;
long tool_number(struct argp_state *state, const char *option, const char *text, long least, long largest);

/* Prints one JSON document to stdout and drops the reference; NULL means that building it ran out of memory. */
int tool_print_json(const char *command, json_t *document);
/* A JSON string; bytes that are not UTF-8 become U+FFFD. */
json_t *tool_json_text(const char *text);
json_t *tool_json_size(uint64_t value);

/* "35 ns", "1.2 µs", "10 ms", "3.4 s". Returns `out_text`. */
#define TOOL_TEXT 48
char *tool_duration(double nanoseconds, char out_text[TOOL_TEXT]);
/* "19,770". Returns `out_text`. */
char *tool_count(uint64_t value, char out_text[TOOL_TEXT]);
/* "99.6 %". Returns `out_text`. */
char *tool_percent(double ratio, char out_text[TOOL_TEXT]);
/* What follows the last slash. */
const char *tool_base_name(const char *path);
/* Prints text for people to stdout: control characters become '?', so that a file cannot steer the terminal. */
void tool_print_text(const char *text);

#endif
