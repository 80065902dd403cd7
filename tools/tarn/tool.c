/* The tool's common ground: see tool.h. */
#include "tool.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

tool_exit tool_exit_code(tarn_status status) {
    switch (status) {
    case TARN_OK: return TOOL_DONE;
    case TARN_OUT_OF_MEMORY:
    case TARN_LIMIT_EXCEEDED: return TOOL_MEMORY;
    case TARN_INVALID_ARGUMENT:
    case TARN_NOT_SUPPORTED:
    case TARN_NOT_FOUND:
    case TARN_ALREADY_EXISTS:
    case TARN_CORRUPT_DATA:
    case TARN_IO_ERROR: return TOOL_INPUT;
    case TARN_INVALID_STATE:
    case TARN_UNAVAILABLE:
    case TARN_SHUT_DOWN:
    case TARN_BUSY:
    case TARN_DEVICE_LOST:
    case TARN_INTERNAL: break;
    }
    return TOOL_DEVICE;
}

void tool_say(const char *command, const char *format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0) line[0] = '\0';
    base_text_disarm(line);
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", command, line);
}

int tool_fail(const char *command, const char *object, tarn_status status) {
    const char *sentence = tarn_last_error();
    if (sentence[0] == '\0') sentence = tarn_status_name(status);
    bool is_named = object == NULL || strncmp(sentence, object, strlen(object)) == 0;
    tool_say(command, "%s%s%s", is_named ? "" : object, is_named ? "" : ": ", sentence);
    return (int)tool_exit_code(status);
}

int tool_no_memory(const char *command) {
    tool_say(command, "no host memory left");
    return TOOL_MEMORY;
}

long tool_number(struct argp_state *state, const char *option, const char *text, long least, long largest) {
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > largest)
        argp_error(state, "--%s takes a number from %ld to %ld, not '%s'", option, least, largest, text);
    return value;
}

int tool_print_json(const char *command, json_t *document) {
    if (document == NULL) return tool_no_memory(command);
    int failed = json_dumpf(document, stdout, JSON_INDENT(2));
    json_decref(document);
    putchar('\n');
    /* A failed write is found when stdout is closed, like any other. */
    return failed != 0 && ferror(stdout) == 0 ? tool_no_memory(command) : TOOL_DONE;
}

json_t *tool_json_text(const char *text) {
    json_t *string = json_string(text);
    if (string != NULL) return string;
    size_t length = strlen(text);
    char *clean = length < SIZE_MAX / 4 ? malloc(3 * length + 1) : NULL;
    if (clean == NULL) return NULL;
    size_t n = 0;
    while (*text != '\0') {
        size_t step = base_utf8_length(text);
        memcpy(clean + n, step > 0 ? text : "\xef\xbf\xbd", step > 0 ? step : 3);
        n += step > 0 ? step : 3;
        text += step > 0 ? step : 1;
    }
    clean[n] = '\0';
    string = json_string(clean);
    free(clean);
    return string;
}

json_t *tool_json_size(uint64_t value) { return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value); }

char *tool_duration(double nanoseconds, char out_text[TOOL_TEXT]) {
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    size_t unit = 0;
    double value = nanoseconds;
    while (unit < 3 && value >= 999.5) {
        value /= 1000;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out_text, TOOL_TEXT, "%.*f %s", decimals, value, units[unit]);
    return out_text;
}

char *tool_count(uint64_t value, char out_text[TOOL_TEXT]) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    char *out = out_text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return out_text;
}

char *tool_percent(double ratio, char out_text[TOOL_TEXT]) {
    snprintf(out_text, TOOL_TEXT, "%.2f %%", ratio * 100);
    return out_text;
}

const char *tool_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

void tool_print_text(const char *text) {
    while (*text != '\0') {
        size_t control = base_control_length(text);
        putchar(control > 0 ? '?' : *text);
        text += control > 0 ? control : 1;
    }
}
