/* From the settings that a PyTorch snapshot carries to a spec of `pytorch`.
 *
 * A trace keeps the settings as text, "name=value, name=value", with lists as "[1:0,2:0]". What PyTorch wrote there in bytes, the spec
 * has in megabytes; three settings are found only in the text that the program was started with, one of the values. */
#include "recorded_spec.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

/* All settings there are, with room to spare. */
enum { SPEC_CAPACITY = 1024, VALUE_LIMIT = 32 };

typedef struct writer {
    const char *path, *settings;
    char text[SPEC_CAPACITY];
    size_t length;
} writer;

static const char start_text[] = "PYTORCH_CUDA_ALLOC_CONF";

/* The value of a setting, up to the next one. NULL when it is not there. */
static const char *find(const char *settings, const char *name, size_t *out_length) {
    size_t length = strlen(name);
    for (const char *at = settings; at != NULL;) {
        const char *next = strstr(at, ", ");
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            const char *value = at + length + 1, *end = strstr(value, ", ");
            *out_length = end != NULL ? (size_t)(end - value) : strlen(value);
            return value;
        }
        at = next != NULL ? next + 2 : NULL;
    }
    return NULL;
}

static void put(writer *w, const char *text, size_t length) {
    if (length >= SPEC_CAPACITY - w->length) length = SPEC_CAPACITY - 1 - w->length;
    memcpy(w->text + w->length, text, length);
    w->length += length;
    w->text[w->length] = '\0';
}

static void put_setting(writer *w, const char *name, const char *value, size_t length) {
    put(w, w->length == strlen("pytorch") ? ":" : ",", 1);
    put(w, name, strlen(name));
    put(w, "=", 1);
    put(w, value, length);
}

static tarn_status refuse(const writer *w, const char *name, const char *value, size_t length) {
    return base_fail(TARN_CORRUPT_DATA, "%s: its settings say %s=%.*s, which cannot be read", w->path, name,
                     (int)(length < VALUE_LIMIT ? length : VALUE_LIMIT), value);
}

static bool is_number(const char *value, size_t length) {
    return length > 0 && length < VALUE_LIMIT && strspn(value, "0123456789.") >= length;
}

static tarn_status put_switch(writer *w, const char *name) {
    size_t length;
    const char *value = find(w->settings, name, &length);
    if (value == NULL || (length == 3 && strncmp(value, "off", 3) == 0)) return TARN_OK;
    if (length != 2 || strncmp(value, "on", 2) != 0) return refuse(w, name, value, length);
    put_setting(w, name, "True", 4);
    return TARN_OK;
}

/* Bytes; -1 where all blocks may be split. */
static tarn_status put_max_split_size(writer *w) {
    size_t length;
    const char *value = find(w->settings, "max_split_size", &length);
    char megabytes[VALUE_LIMIT];
    if (value == NULL || value[0] == '-') return TARN_OK;
    if (!is_number(value, length)) return refuse(w, "max_split_size", value, length);
    unsigned long long bytes = strtoull(value, NULL, 10);
    if (bytes > INT64_MAX) return TARN_OK;
    int digits = snprintf(megabytes, sizeof megabytes, "%llu", bytes >> 20);
    put_setting(w, "max_split_size_mb", megabytes, (size_t)digits);
    return TARN_OK;
}

static tarn_status put_threshold(writer *w) {
    static const char name[] = "garbage_collection_threshold";
    size_t length;
    const char *value = find(w->settings, name, &length);
    if (value == NULL) return TARN_OK;
    if (!is_number(value, length)) return refuse(w, name, value, length);
    if (strspn(value, "0.") < length) put_setting(w, name, value, length);
    return TARN_OK;
}

/* "[1:0,2:0,4:8]": an interval without rounding is left out, but for the first, which would take the second one's. */
static tarn_status put_divisions(writer *w) {
    static const char name[] = "roundup_power2_divisions";
    size_t length, size = 2;
    char list[SPEC_CAPACITY / 2] = "\"[";
    const char *value = find(w->settings, name, &length);
    if (value == NULL || strncmp(value, "[]", 2) == 0) return TARN_OK;
    if (length < 2 || length + 2 >= sizeof list || value[0] != '[' || value[length - 1] != ']')
        return refuse(w, name, value, length);
    bool rounds = false;
    for (const char *at = value + 1, *end; at < value + length; at = end + 1) {
        end = at + strcspn(at, ",]");
        const char *steps = memchr(at, ':', (size_t)(end - at));
        if (steps == NULL || strspn(at, "0123456789:") != (size_t)(end - at)) return refuse(w, name, value, length);
        bool is_rounded = strtoull(steps + 1, NULL, 10) > 1;
        rounds = rounds || is_rounded;
        if (!is_rounded && size > 2) continue;
        if (size > 2) list[size++] = ',';
        memcpy(list + size, at, (size_t)(end - at));
        size += (size_t)(end - at);
    }
    memcpy(list + size, "]\"", 2);
    if (rounds) put_setting(w, name, list, size + 2);
    return TARN_OK;
}

/* "name:value" of the text that the program was started with. */
static tarn_status put_started_with(writer *w, const char *name) {
    size_t length, name_length = strlen(name);
    const char *text = find(w->settings, start_text, &length);
    for (const char *at = text; at != NULL && at < text + length; at = memchr(at, ',', (size_t)(text + length - at))) {
        if (*at == ',') at++;
        if (strncmp(at, name, name_length) != 0 || at[name_length] != ':') continue;
        const char *value = at + name_length + 1;
        size_t digits = strspn(value, "0123456789.");
        if (!is_number(value, digits)) return refuse(w, name, value, strcspn(value, ","));
        put_setting(w, name, value, digits);
        return TARN_OK;
    }
    return TARN_OK;
}

static tarn_status write_spec(writer *w) {
    put(w, "pytorch", strlen("pytorch"));
    tarn_status status = put_started_with(w, "large_segment_size_mb");
    if (status == TARN_OK) status = put_max_split_size(w);
    if (status == TARN_OK) status = put_started_with(w, "max_non_split_rounding_mb");
    if (status == TARN_OK) status = put_divisions(w);
    if (status == TARN_OK) status = put_threshold(w);
    if (status == TARN_OK) status = put_started_with(w, "per_process_memory_fraction");
    if (status == TARN_OK) status = put_switch(w, "expandable_segments");
    if (status == TARN_OK) status = put_switch(w, "release_lock_on_cudamalloc");
    return status;
}

static const char *settings_of(const tarn_trace *trace, const char **out_path) {
    tarn_trace_info info = {.struct_size = sizeof info};
    if (tarn_trace_info_get(trace, &info) != TARN_OK) return "";
    *out_path = info.path;
    return info.settings;
}

bool trace_has_recorded_spec(const tarn_trace *trace) {
    const char *path = "";
    size_t length;
    return find(settings_of(trace, &path), start_text, &length) != NULL;
}

tarn_status trace_resolve_spec(const tarn_trace *trace, const char *spec, char **out_spec) {
    writer w = {.path = ""};
    w.settings = settings_of(trace, &w.path);
    const char *place = strstr(spec, TRACE_AS_RECORDED), *rest = spec;
    if (place != NULL) {
        if (!trace_has_recorded_spec(trace))
            return base_fail(TARN_INVALID_ARGUMENT,
                             "%s carries no settings of PyTorch's allocator for " TRACE_AS_RECORDED, w.path);
        tarn_status status = write_spec(&w);
        if (status != TARN_OK) return status;
        rest = place + strlen(TRACE_AS_RECORDED);
    }
    size_t before = (size_t)(rest == spec ? 0 : place - spec);
    char *resolved = base_allocate(before + w.length + strlen(rest) + 1, 1);
    if (resolved == NULL) return base_fail(TARN_OUT_OF_MEMORY, "replay: no host memory for the name of an allocator");
    memcpy(resolved, spec, before);
    memcpy(resolved + before, w.text, w.length);
    strcpy(resolved + before + w.length, rest);
    *out_spec = resolved;
    return TARN_OK;
}
