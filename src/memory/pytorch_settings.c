/* Reading the settings. Names, ranges and defaults are PyTorch's (c10/core/AllocatorConfig, version 2.9 and later). */
#include "memory/pytorch_settings.h"

#include <string.h>

#include "base/checked.h"

/* Settings of other parts of PyTorch that share the text with those of the allocator: read, and without effect here. */
typedef struct foreign_setting {
    const char *name;
    bool is_switch; /* else a whole number */
} foreign_setting;

static const foreign_setting foreign_settings[] = {
    {"graph_capture_record_stream_reuse", true}, {"pinned_use_cuda_host_register", true},
    {"pinned_use_background_threads", true},     {"pinned_num_register_threads", false},
    {"pinned_reserve_segment_size_mb", false},
};

/* The argument's text, NULL when it is absent. */
static const char *text_of(memory_arguments *arguments, const char *key) {
    const char *text = NULL;
    (void)memory_argument_text(arguments, key, &text);
    return text;
}

static tarn_status read_switch(memory_arguments *arguments, const char *key, bool *inout_value) {
    const char *text = text_of(arguments, key);
    if (text == NULL) return TARN_OK;
    bool is_on = strcmp(text, "True") == 0 || strcmp(text, "on") == 0;
    if (!is_on && strcmp(text, "False") != 0 && strcmp(text, "off") != 0)
        return memory_argument_refuse(arguments, key, "True or False");
    *inout_value = is_on;
    return TARN_OK;
}

/* Megabytes, at least `least` of them. */
static tarn_status read_megabytes(memory_arguments *arguments, const char *key, size_t least, const char *wanted,
                                  size_t *inout_bytes) {
    if (text_of(arguments, key) == NULL) return TARN_OK;
    uint64_t megabytes = 0;
    tarn_status status = memory_argument_number(arguments, key, &megabytes);
    if (status != TARN_OK) return status;
    if (megabytes < least || megabytes > SIZE_MAX / PYTORCH_MIB) return memory_argument_refuse(arguments, key, wanted);
    *inout_bytes = (size_t)megabytes * PYTORCH_MIB;
    return TARN_OK;
}

/* Digits up to the first other character. */
static bool read_number(const char **inout_text, size_t *out_number) {
    const char *c = *inout_text;
    size_t number = 0;
    if (*c < '0' || *c > '9') return false;
    for (; *c >= '0' && *c <= '9'; c++) {
        if (!checked_multiply(number, 10, &number) || !checked_add(number, (size_t)(*c - '0'), &number)) return false;
    }
    *inout_text = c;
    *out_number = number;
    return true;
}

static const char *skip_blanks(const char *text) { return text + strspn(text, " \t"); }

/* One "512:2" or ">:4" of a list. `last` is the interval of the one before, -1 at the beginning. The first one given also holds for
 * what is smaller, ">" for what is larger than the one before; what lies between two that are given is not rounded. */
static bool read_division(const char **inout_text, size_t *divisions, int *inout_last) {
    size_t boundary = 0, steps;
    const char *c = skip_blanks(*inout_text);
    bool is_rest = *c == '>';
    if (is_rest) c++;
    else if (!read_number(&c, &boundary) || !is_power_of_two(boundary)) return false;
    c = skip_blanks(c);
    if (*c++ != ':') return false;
    c = skip_blanks(c);
    if (!read_number(&c, &steps) || (steps != 0 && !is_power_of_two(steps))) return false;
    *inout_text = skip_blanks(c);
    int first = (*inout_last < 0 ? 0 : *inout_last) + 1, last = PYTORCH_INTERVALS - 1;
    if (!is_rest) {
        int interval = __builtin_ctzll(boundary);
        if (interval < last) last = interval;
        first = *inout_last < 0 ? 0 : last;
        *inout_last = last;
    }
    for (int i = first; i <= last; i++) divisions[i] = steps;
    return true;
}

/* "4", or "[256:1,512:2,>:4]" with sizes in megabytes. */
static bool read_divisions(const char *text, size_t *divisions) {
    size_t steps;
    if (*text != '[') {
        if (!read_number(&text, &steps) || *text != '\0' || !is_power_of_two(steps)) return false;
        for (int i = 0; i < PYTORCH_INTERVALS; i++) divisions[i] = steps;
        return true;
    }
    int last = -1;
    do {
        text++;
        if (!read_division(&text, divisions, &last)) return false;
    } while (*text == ',');
    return strcmp(text, "]") == 0;
}

static tarn_status read_roundup(memory_arguments *arguments, size_t *divisions) {
    static const char key[] = "roundup_power2_divisions";
    const char *text = text_of(arguments, key);
    size_t read[PYTORCH_INTERVALS] = {0};
    if (text == NULL) return TARN_OK;
    if (!read_divisions(text, read))
        return memory_argument_refuse(arguments, key, "a power of two, or a list of them such as [256:1,512:2,>:4]");
    memcpy(divisions, read, sizeof read);
    return TARN_OK;
}

static tarn_status read_threshold(memory_arguments *arguments, double *inout_value) {
    static const char key[] = "garbage_collection_threshold";
    if (text_of(arguments, key) == NULL) return TARN_OK;
    tarn_status status = memory_argument_fraction(arguments, key, inout_value);
    if (status == TARN_OK && (*inout_value <= 0 || *inout_value >= 1))
        status = memory_argument_refuse(arguments, key, "a number between 0 and 1, both excluded");
    return status;
}

static tarn_status read_foreign(memory_arguments *arguments) {
    const char *backend = text_of(arguments, "backend");
    if (backend != NULL && strcmp(backend, "native") != 0)
        return memory_argument_refuse(arguments, "backend", "native, which is the one that is modelled");
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < sizeof foreign_settings / sizeof foreign_settings[0] && status == TARN_OK; i++) {
        bool is_on;
        uint64_t number;
        const foreign_setting *setting = &foreign_settings[i];
        status = setting->is_switch ? read_switch(arguments, setting->name, &is_on)
                                    : memory_argument_number(arguments, setting->name, &number);
    }
    return status;
}

tarn_status pytorch_settings_read(memory_arguments *arguments, pytorch_settings *out_settings) {
    pytorch_settings read = {.max_split_size = SIZE_MAX,
                             .max_non_split_rounding = 20 * PYTORCH_MIB,
                             .large_segment_size = 20 * PYTORCH_MIB,
                             .memory_fraction = 1};
    tarn_status status = read_megabytes(arguments, "large_segment_size_mb", PYTORCH_OWN_SEGMENT / PYTORCH_MIB + 1,
                                        "a whole number of megabytes, more than 10", &read.large_segment_size);
    size_t least = read.large_segment_size / PYTORCH_MIB;
    static const char from_segment[] = "a whole number of megabytes, at least 20 or what large_segment_size_mb says";
    if (status == TARN_OK)
        status = read_megabytes(arguments, "max_split_size_mb", least, from_segment, &read.max_split_size);
    if (status == TARN_OK)
        status =
            read_megabytes(arguments, "max_non_split_rounding_mb", least, from_segment, &read.max_non_split_rounding);
    if (status == TARN_OK) status = read_roundup(arguments, read.divisions);
    if (status == TARN_OK) status = read_threshold(arguments, &read.collection_threshold);
    if (status == TARN_OK)
        status = memory_argument_fraction(arguments, "per_process_memory_fraction", &read.memory_fraction);
    if (status == TARN_OK) status = read_switch(arguments, "expandable_segments", &read.is_expandable);
    if (status == TARN_OK) status = read_switch(arguments, "release_lock_on_cudamalloc", &read.releases_lock);
    bool splits = true;
    if (status == TARN_OK) status = read_switch(arguments, "keep", &read.keeps);
    if (status == TARN_OK) status = read_switch(arguments, "split", &splits);
    read.is_whole = !splits;
    if (status == TARN_OK) status = read_foreign(arguments);
    if (status == TARN_OK && text_of(arguments, "") != NULL)
        status = memory_argument_refuse(arguments, "", "settings as NAME=VALUE (or, in a replay, as-recorded)");
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status == TARN_OK) *out_settings = read;
    return status;
}

static unsigned floor_log2(size_t value) { return 63u - (unsigned)__builtin_clzll(value); }

bool pytorch_round(const pytorch_settings *settings, size_t size, size_t unit, size_t *out_rounded) {
    unsigned log2 = floor_log2(size), first = floor_log2(PYTORCH_MIB);
    unsigned interval = log2 < first ? 0 : log2 - first;
    if (interval >= PYTORCH_INTERVALS) interval = PYTORCH_INTERVALS - 1;
    size_t steps = settings->divisions[interval];
    if (steps <= 1 || size / steps < unit || size == unit * steps) return checked_round_up(size, unit, out_rounded);
    /* The step is at least one unit, since the size is more than `steps` of them. */
    return checked_round_up(size, ((size_t)1 << log2) / steps, out_rounded);
}

bool pytorch_segment_size(const pytorch_settings *settings, size_t size, size_t *out_size) {
    if (size >= PYTORCH_OWN_SEGMENT) return checked_round_up(size, PYTORCH_OWN_SEGMENT_UNIT, out_size);
    *out_size = size <= PYTORCH_SMALL ? PYTORCH_SMALL_SEGMENT : settings->large_segment_size;
    return true;
}
