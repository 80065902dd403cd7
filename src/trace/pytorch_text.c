/* The texts of pytorch_text.h, put together in a buffer on the stack: what does not fit is left out, which bounds
 * what a malicious file can ask for. */
#include "pytorch_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* Deeper frames say nothing about who asked for memory. */
static const size_t frame_limit = 64;
static const size_t setting_limit = 64;

typedef struct text {
    size_t length;
    char bytes[PYTORCH_TEXT_LIMIT];
} text;

static void put(text *t, const char *bytes, size_t length) {
    size_t left = PYTORCH_TEXT_LIMIT - t->length;
    if (length > left) length = left;
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
}

/* By hand: there is a line number in each frame of each event. */
static void put_number(text *t, int64_t number) {
    char digits[20];
    size_t first = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--first] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0) put(t, "-", 1);
    put(t, digits + first, sizeof digits - first);
}

/* The part of a path after its last slash, which is looked for where the rest fits. */
static void put_file(text *t, pickle_value path) {
    size_t length = path.length < PYTORCH_TEXT_LIMIT ? path.length : PYTORCH_TEXT_LIMIT;
    const char *name = path.is.text + (path.length - length);
    const char *slash = memrchr(name, '/', length);
    if (slash != NULL) name = slash + 1;
    put(t, name, path.length - (size_t)(name - path.is.text));
}

tarn_status pytorch_frame(trace_builder *pieces, const pytorch_fields *frame, uint32_t *out_piece) {
    const pickle_value *name = frame->of[FIELD_NAME], *file = frame->of[FIELD_FILENAME], *line = frame->of[FIELD_LINE];
    bool has_name = name != NULL && name->type == PICKLE_TEXT;
    bool has_line = line != NULL && line->type == PICKLE_INTEGER && line->is.integer != 0;
    /* What is not known says nothing. */
    bool has_file = file != NULL && file->type == PICKLE_TEXT && (has_line || !pickle_is_text(*file, "??"));
    text t;
    t.length = 0;
    if (has_name) put(&t, name->is.text, name->length);
    else put(&t, "?", 1);
    if (has_file) {
        put(&t, " (", 2);
        put_file(&t, *file);
        if (has_line) {
            put(&t, ":", 1);
            put_number(&t, line->is.integer);
        }
        put(&t, ")", 1);
    }
    return trace_builder_string(pieces, t.bytes, t.length, out_piece);
}

static void put_piece(text *t, const trace_builder *pieces, uint32_t piece) {
    size_t length;
    const char *bytes = trace_builder_text(pieces, piece, &length);
    put(t, bytes, length);
}

tarn_status pytorch_site(const trace_builder *pieces, const pickle_value *frames, size_t count, trace_builder *builder,
                         uint32_t *out_site) {
    text t;
    t.length = 0;
    if (count > frame_limit) count = frame_limit;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put(&t, " < ", 3);
        put_piece(&t, pieces, frames[i].is.range.first);
    }
    return trace_builder_string(builder, t.bytes, t.length, out_site);
}

static void put_scalar(text *t, const pickle_value *of) {
    const pickle_value value = of != NULL ? *of : (pickle_value){.type = PICKLE_NONE};
    char number[32];
    switch ((pickle_type)value.type) {
    case PICKLE_TEXT: put(t, value.is.text, value.length); break;
    case PICKLE_INTEGER: put_number(t, value.is.integer); break;
    case PICKLE_UNSIGNED:
        put(t, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, value.is.unsigned_integer));
        break;
    case PICKLE_FLOAT: put(t, number, (size_t)snprintf(number, sizeof number, "%g", value.is.real)); break;
    case PICKLE_BOOLEAN: put(t, value.is.boolean ? "on" : "off", value.is.boolean ? 2 : 3); break;
    case PICKLE_NONE:
    case PICKLE_HUGE:
    case PICKLE_BYTES:
    case PICKLE_LIST:
    case PICKLE_TUPLE:
    case PICKLE_DICT:
    case PICKLE_SET: put(t, pickle_type_name(value), strlen(pickle_type_name(value))); break;
    }
}

tarn_status pytorch_joined(trace_builder *builder, const pickle_value *first, const pickle_value *second,
                           uint32_t *out_string) {
    text t;
    t.length = 0;
    put_scalar(&t, first);
    put(&t, " ", 1);
    put_scalar(&t, second);
    return trace_builder_string(builder, t.bytes, t.length, out_string);
}

static tarn_status put_settings(trace_builder *pieces, const pickle_value *items, size_t count, uint8_t settings,
                                const char *between, const char *equals, uint32_t *out_piece) {
    text t;
    t.length = 0;
    for (size_t i = 0; i + 1 < count && i / 2 < setting_limit; i += 2) {
        const pickle_value *value = &items[i + 1];
        if (i > 0) put(&t, between, strlen(between));
        put_scalar(&t, &items[i]);
        put(&t, equals, strlen(equals));
        if (value->type == PICKLE_DICT && value->kind == settings) {
            put(&t, "[", 1);
            put_piece(&t, pieces, value->is.range.first);
            put(&t, "]", 1);
        } else {
            put_scalar(&t, value);
        }
    }
    return trace_builder_string(pieces, t.bytes, t.length, out_piece);
}

tarn_status pytorch_settings(trace_builder *pieces, const pickle_value *items, size_t count, uint8_t settings,
                             uint32_t *out_inner, uint32_t *out_outer) {
    tarn_status status = put_settings(pieces, items, count, settings, ",", ":", out_inner);
    return status == TARN_OK ? put_settings(pieces, items, count, settings, ", ", "=", out_outer) : status;
}
