/* Reading the arguments of an element of a spec. */
#include <string.h>

#include <tarn/size.h>

#include "base/status.h"
#include "hal/memory.h"
#include "memory/strategy.h"

/* The argument with that key, marked as used; NULL when absent. */
static memory_argument *use(memory_arguments *arguments, const char *key) {
    for (size_t i = 0; i < arguments->count; i++) {
        memory_argument *argument = &arguments->items[i];
        if (strcmp(argument->key, key) != 0) continue;
        argument->used = true;
        return argument;
    }
    return NULL;
}

static tarn_status refuse(const memory_arguments *arguments, const memory_argument *argument, const char *wanted) {
    return base_fail(TARN_INVALID_ARGUMENT, "column %zu: %s%s%s takes %s, not \"%.80s\"", argument->column,
                     arguments->name, argument->key[0] != '\0' ? ": " : "", argument->key, wanted, argument->value);
}

tarn_status memory_argument_size(memory_arguments *arguments, const char *key, size_t *inout_value) {
    const memory_argument *argument = use(arguments, key);
    uint64_t bytes;
    if (argument == NULL) return TARN_OK;
    if (tarn_size_parse(argument->value, &bytes) != TARN_OK || bytes > SIZE_MAX) {
        return refuse(arguments, argument, "a size such as 8GiB or 512M");
    }
    *inout_value = (size_t)bytes;
    return TARN_OK;
}

tarn_status memory_argument_number(memory_arguments *arguments, const char *key, uint64_t *inout_value) {
    const memory_argument *argument = use(arguments, key);
    if (argument == NULL) return TARN_OK;
    uint64_t value = 0;
    const char *c = argument->value;
    bool fits = *c != '\0';
    for (; *c >= '0' && *c <= '9'; c++) {
        fits = fits && !__builtin_mul_overflow(value, UINT64_C(10), &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value);
    }
    if (!fits || *c != '\0') return refuse(arguments, argument, "a whole number");
    *inout_value = value;
    return TARN_OK;
}

/* Digits and one point; whatever the locale, so not by strtod. Digits after the fifteenth place change nothing. */
static bool read_decimal(const char *text, double lowest, double highest, double *out_value) {
    double value = 0, unit = 1;
    int digits = 0;
    bool has_point = false;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (*c < '0' || *c > '9') return false;
        digits++;
        if (has_point) unit /= 10;
        if (unit >= 1e-15) value = has_point ? value + unit * (*c - '0') : value * 10 + (*c - '0');
    }
    if (digits == 0 || !(value >= lowest && value <= highest)) return false;
    *out_value = value;
    return true;
}

tarn_status memory_argument_fraction(memory_arguments *arguments, const char *key, double *inout_value) {
    const memory_argument *argument = use(arguments, key);
    if (argument == NULL) return TARN_OK;
    if (!read_decimal(argument->value, 0, 1, inout_value)) return refuse(arguments, argument, "a number from 0 to 1");
    return TARN_OK;
}

tarn_status memory_argument_factor(memory_arguments *arguments, const char *key, double *inout_value) {
    const memory_argument *argument = use(arguments, key);
    if (argument == NULL) return TARN_OK;
    if (!read_decimal(argument->value, 1, 1000, inout_value)) {
        return refuse(arguments, argument, "a number from 1 to 1000");
    }
    return TARN_OK;
}

tarn_status memory_argument_switch(memory_arguments *arguments, const char *key, bool *inout_value) {
    const memory_argument *argument = use(arguments, key);
    if (argument == NULL) return TARN_OK;
    bool is_on = strcmp(argument->value, "on") == 0;
    if (!is_on && strcmp(argument->value, "off") != 0) return refuse(arguments, argument, "on or off");
    *inout_value = is_on;
    return TARN_OK;
}

tarn_status memory_argument_kind(memory_arguments *arguments, const char *key, tarn_memory_kind *inout_value) {
    const memory_argument *argument = use(arguments, key);
    if (argument == NULL) return TARN_OK;
    for (unsigned i = 0; i < TARN_MEMORY_KIND_COUNT; i++) {
        if (strcmp(argument->value, hal_memory_kind_name((tarn_memory_kind)i)) != 0) continue;
        *inout_value = (tarn_memory_kind)i;
        return TARN_OK;
    }
    return refuse(arguments, argument, "device, pinned, managed, host or shared");
}

tarn_status memory_argument_text(memory_arguments *arguments, const char *key, const char **inout_value) {
    const memory_argument *argument = use(arguments, key);
    if (argument != NULL) *inout_value = argument->value;
    return TARN_OK;
}

void memory_argument_rewrite(memory_arguments *arguments, const char *key, const char *value) {
    memory_argument *argument = arguments->items;
    while (strcmp(argument->key, key) != 0) argument++;
    argument->value = value;
}

tarn_status memory_argument_refuse(const memory_arguments *arguments, const char *key, const char *wanted) {
    const memory_argument *argument = arguments->items;
    while (strcmp(argument->key, key) != 0) argument++;
    return refuse(arguments, argument, wanted);
}

tarn_status memory_arguments_check(const memory_arguments *arguments) {
    for (size_t i = 0; i < arguments->count; i++) {
        const memory_argument *argument = &arguments->items[i];
        if (argument->used) continue;
        if (argument->key[0] == '\0') {
            return base_fail(TARN_INVALID_ARGUMENT, "column %zu: %s does not take a value such as \"%.80s\"",
                             argument->column, arguments->name, argument->value);
        }
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: %s has no argument \"%.80s\"", argument->column,
                         arguments->name, argument->key);
    }
    return TARN_OK;
}
