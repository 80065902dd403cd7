/* `tarn convert`: reads a trace of any known format and writes it in another. */
#include <argp.h>
#include <stdio.h>

#include "tool.h"

static const char *const command = "tarn convert";

typedef struct convert_options {
    const char *input, *output, *format;
} convert_options;

enum { OPTION_TO = 't' };

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    convert_options *options = state->input;
    switch (key) {
    case OPTION_TO: options->format = argument; return 0;
    case ARGP_KEY_ARG:
        if (options->input == NULL) options->input = argument;
        else if (options->output == NULL) options->output = argument;
        else argp_error(state, "one input and one output are taken; '%s' is too many", argument);
        return 0;
    case ARGP_KEY_END:
        if (options->output == NULL) argp_error(state, "an input and an output are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int convert_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"to", OPTION_TO, "FORMAT", 0, "tarn, pytorch, rmm, perfetto or csv; without it, the ending of OUT decides", 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "IN OUT",
        .doc = "Reads a PyTorch snapshot, an RMM log, a CSV or a Tarn trace and writes it in another format."
               "\vExample:\n\n  tarn convert snapshot.pickle timeline.json --to perfetto",
    };
    convert_options options = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0) return TOOL_USAGE;

    tarn_trace_format format = tarn_trace_format_named(options.format != NULL ? options.format : options.output);
    if (format == TARN_TRACE_UNKNOWN) {
        if (options.format != NULL)
            tool_say(command, "'%s' is no format; tarn, pytorch, rmm, perfetto and csv are", options.format);
        else tool_say(command, "%s: the ending names no format; --to does", options.output);
        return TOOL_INPUT;
    }
    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(options.input, &trace);
    if (status != TARN_OK) return tool_fail(command, options.input, status);
    status = tarn_trace_write(trace, options.output, format);
    int result = status == TARN_OK ? TOOL_DONE : tool_fail(command, options.output, status);
    tarn_trace_release(trace);
    return result;
}
