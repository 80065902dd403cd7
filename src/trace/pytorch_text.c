/* The texts of pytorch_text.h, put together in a buffer on the stack: what does not fit is left out, which bounds
 * what a malicious file can ask for. */
#include "pytorch_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

enum { text_limit = 8192 };
/* Deeper frames say nothing about who asked for memory. */
static const size_t frame_limit = 64;
static const size_t frame_field_limit = 16;
static const size_t setting_limit = 64;

typedef struct text {
    size_t length;
    char bytes[text_limit];
} text;

static void put(text *t, const char *bytes, size_t length) {
    size_t left = text_limit - t->length;
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

/* The part of a path after its last slash. */
static void put_file(text *t, pickle_value path) {
    const char *slash = memrchr(path.is.text, '/', path.length);
    const char *name = slash == NULL ? path.is.text : slash + 1;
    put(t, name, path.length - (size_t)(name - path.is.text));
}

static void put_frame(text *t, pickle_value frame) {
    pickle_value key, value;
    pickle_value name = {.type = PICKLE_NONE}, file = {.type = PICKLE_NONE}, line = {.type = PICKLE_NONE};
    for (pickle_cursor cursor = pickle_begin(frame); pickle_next_entry(&cursor, &key, &value);) {
        if (pickle_is_text(key, "name")) name = value;
        else if (pickle_is_text(key, "filename")) file = value;
        else if (pickle_is_text(key, "line")) line = value;
    }
    bool has_line = line.type == PICKLE_INTEGER && line.is.integer != 0;
    if (name.type == PICKLE_TEXT) put(t, name.is.text, name.length);
    else put(t, "?", 1);
    /* What is not known says nothing. */
    if (file.type != PICKLE_TEXT || (pickle_is_text(file, "??") && !has_line)) return;
    put(t, " (", 2);
    put_file(t, file);
    if (has_line) {
        put(t, ":", 1);
        put_number(t, line.is.integer);
    }
    put(t, ")", 1);
}

static bool stands_for_a_tag(pickle_value frames) {
    pickle_value frame, file;
    pickle_cursor cursor = pickle_begin(frames);
    return frames.is.object->count == 1 && pickle_next(&cursor, &frame) && frame.type == PICKLE_DICT &&
           frame.is.object->count / 2 <= frame_field_limit && pickle_find(frame, "filename", &file) &&
           pickle_is_text(file, PYTORCH_TAG_FILE);
}

tarn_status pytorch_site(const trace_input *input, trace_builder *builder, pickle_value frames, uint32_t *out_site) {
    if (frames.type != PICKLE_LIST && frames.type != PICKLE_TUPLE) return TARN_OK;
    pickle_object *list = frames.is.object;
    if (list->count == 0) return TARN_OK;
    if (list->note != PICKLE_NO_NOTE) {
        *out_site = list->note;
        return TARN_OK;
    }
    text t;
    t.length = 0;
    size_t count = 0;
    pickle_value frame;
    if (stands_for_a_tag(frames)) return TARN_OK;
    for (pickle_cursor cursor = pickle_begin(frames); count < frame_limit && pickle_next(&cursor, &frame); count++) {
        if (frame.type != PICKLE_DICT || frame.is.object->count / 2 > frame_field_limit)
            return base_fail(TARN_CORRUPT_DATA, "%s: a stack frame is %s of %zu fields, and should be a dict of a few",
                             input->path, pickle_type_name(frame),
                             frame.type == PICKLE_DICT ? frame.is.object->count / 2 : 0);
        if (count > 0) put(&t, " < ", 3);
        put_frame(&t, frame);
    }
    tarn_status status = trace_builder_string(builder, t.bytes, t.length, out_site);
    if (status == TARN_OK) list->note = *out_site;
    return status;
}

static void put_scalar(text *t, pickle_value value) {
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

tarn_status pytorch_joined(trace_builder *builder, pickle_value first, pickle_value second, uint32_t *out_string) {
    text t;
    t.length = 0;
    put_scalar(&t, first);
    put(&t, " ", 1);
    put_scalar(&t, second);
    return trace_builder_string(builder, t.bytes, t.length, out_string);
}

static void put_dict(text *t, pickle_value dict, const char *between, const char *equals) {
    size_t count = 0;
    pickle_value key, value;
    for (pickle_cursor cursor = pickle_begin(dict); count < setting_limit && pickle_next_entry(&cursor, &key, &value);
         count++) {
        if (count > 0) put(t, between, strlen(between));
        put_scalar(t, key);
        put(t, equals, strlen(equals));
        bool nested = value.type == PICKLE_DICT && between[1] != '\0';
        if (nested) {
            put(t, "[", 1);
            put_dict(t, value, ",", ":");
            put(t, "]", 1);
        } else {
            put_scalar(t, value);
        }
    }
}

tarn_status pytorch_settings(trace_builder *builder, pickle_value settings) {
    if (settings.type != PICKLE_DICT) return TARN_OK;
    text t;
    t.length = 0;
    put_dict(&t, settings, ", ", "=");
    return trace_builder_settings(builder, t.bytes, t.length);
}
