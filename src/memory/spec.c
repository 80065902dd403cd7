/* Reading the text that names a stack of allocators, and building the stack from its lower end.
 *
 *     spec      element { '|' element }
 *     element   name [ ':' [ argument { ',' argument } ] ]
 *     argument  [ key '=' ] value
 *     value     characters other than '|', ',' and '"', or '"' characters '"', where '""' stands for one quotation mark;
 *               one that begins with '[' may have commas up to its ']'
 *
 * Blanks around each part do not count. A key is letters, digits and '_'; what stands before another kind of '=' is
 * part of a value. All strings are copied into one buffer, which the elements point into. */
#include <tarn/allocator.h>

#include <ctype.h>
#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/strategy.h"

#define LONGEST_SPEC ((size_t)64 << 10)
#define MOST_ELEMENTS 32
#define MOST_ARGUMENTS 128

static const char default_spec[] = "caching";

typedef struct spec_element {
    const memory_strategy *strategy;
    memory_arguments arguments;
} spec_element;

typedef struct spec_reader {
    const char *text;
    const char *next; /* to be read */
    char *strings;    /* what was copied */
    size_t strings_used;
    spec_element elements[MOST_ELEMENTS];
    size_t element_count;
    memory_argument arguments[MOST_ARGUMENTS]; /* of all elements */
    size_t argument_count;
} spec_reader;

static size_t column(const spec_reader *reader) { return (size_t)(reader->next - reader->text) + 1; }

static void skip_blanks(spec_reader *reader) {
    while (isspace((unsigned char)*reader->next)) reader->next++;
}

static bool is_name_character(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-'; }

/* Copies `length` characters. There is room: the buffer has the spec's length and a zero for each string. */
static const char *keep(spec_reader *reader, const char *from, size_t length) {
    char *copy = reader->strings + reader->strings_used;
    memcpy(copy, from, length);
    copy[length] = '\0';
    reader->strings_used += length + 1;
    return copy;
}

static const char *read_name(spec_reader *reader) {
    const char *begin = reader->next;
    while (is_name_character(*reader->next)) reader->next++;
    return keep(reader, begin, (size_t)(reader->next - begin));
}

/* Must be called at a quotation mark. NULL when the quotation has no end. */
static const char *read_quotation(spec_reader *reader) {
    char *copy = reader->strings + reader->strings_used;
    size_t length = 0;
    for (reader->next++;; reader->next++) {
        if (*reader->next == '\0') return NULL;
        if (*reader->next == '"' && *++reader->next != '"') break;
        copy[length++] = *reader->next;
    }
    copy[length] = '\0';
    reader->strings_used += length + 1;
    return copy;
}

static const char *read_bare_value(spec_reader *reader) {
    const char *begin = reader->next;
    const char *list_end = begin + strcspn(begin, "]|\"");
    const char *end = *begin == '[' && *list_end == ']' ? list_end : begin;
    end += strcspn(end, "|,\"");
    reader->next = end;
    while (end > begin && isspace((unsigned char)end[-1])) end--;
    return keep(reader, begin, (size_t)(end - begin));
}

/* The key before a '=', "" when there is none. */
static const char *read_key(spec_reader *reader) {
    const char *end = reader->next;
    while (is_name_character(*end)) end++;
    const char *sign = end;
    while (isspace((unsigned char)*sign)) sign++;
    if (end == reader->next || *sign != '=') return keep(reader, "", 0);
    const char *key = keep(reader, reader->next, (size_t)(end - reader->next));
    reader->next = sign + 1;
    skip_blanks(reader);
    return key;
}

static tarn_status read_argument(spec_reader *reader, memory_arguments *arguments) {
    if (reader->argument_count == MOST_ARGUMENTS) {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: more than %d arguments", column(reader), MOST_ARGUMENTS);
    }
    memory_argument *argument = &reader->arguments[reader->argument_count];
    argument->column = column(reader);
    argument->key = read_key(reader);
    size_t value_column = column(reader);
    bool is_quoted = *reader->next == '"';
    argument->value = is_quoted ? read_quotation(reader) : read_bare_value(reader);
    if (argument->value == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: the quotation does not end", value_column);
    }
    if (!is_quoted && argument->value[0] == '\0') {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: %s lacks a value", argument->column,
                         argument->key[0] != '\0' ? argument->key : arguments->name);
    }
    for (size_t i = 0; i < arguments->count; i++) {
        if (strcmp(arguments->items[i].key, argument->key) != 0) continue;
        if (argument->key[0] == '\0') {
            return base_fail(TARN_INVALID_ARGUMENT, "column %zu: %s takes one value", argument->column,
                             arguments->name);
        }
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: %s is there twice", argument->column, argument->key);
    }
    reader->argument_count++;
    arguments->count++;
    skip_blanks(reader);
    return TARN_OK;
}

static tarn_status refuse_name(const char *name, size_t name_column) {
    char known[256] = "";
    size_t length = 0;
    for (const memory_strategy *const *strategy = memory_strategies; *strategy != NULL; strategy++) {
        const char *separator = length > 0 ? ", " : "";
        size_t added = strlen(separator) + strlen((*strategy)->name);
        if (length + added >= sizeof known) break;
        strcat(strcat(known, separator), (*strategy)->name);
        length += added;
    }
    if (name[0] == '\0') {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: the name of an allocator is missing: one of %s",
                         name_column, known);
    }
    return base_fail(TARN_INVALID_ARGUMENT, "column %zu: there is no allocator \"%.80s\", only %s", name_column, name,
                     known);
}

static const memory_strategy *find_strategy(const char *name) {
    const memory_strategy *const *strategy = memory_strategies;
    while (*strategy != NULL && strcmp((*strategy)->name, name) != 0) strategy++;
    return *strategy;
}

static tarn_status read_arguments(spec_reader *reader, memory_arguments *arguments) {
    reader->next++;
    skip_blanks(reader);
    if (*reader->next == '\0' || *reader->next == '|') return TARN_OK;
    for (;;) {
        tarn_status status = read_argument(reader, arguments);
        if (status != TARN_OK) return status;
        if (*reader->next != ',') return TARN_OK;
        reader->next++;
        skip_blanks(reader);
    }
}

static tarn_status read_element(spec_reader *reader) {
    skip_blanks(reader);
    if (reader->element_count == MOST_ELEMENTS) {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: more than %d allocators", column(reader), MOST_ELEMENTS);
    }
    spec_element *element = &reader->elements[reader->element_count++];
    element->arguments.column = column(reader);
    element->arguments.name = read_name(reader);
    element->arguments.items = &reader->arguments[reader->argument_count];
    element->strategy = find_strategy(element->arguments.name);
    if (element->strategy == NULL) return refuse_name(element->arguments.name, element->arguments.column);
    skip_blanks(reader);
    if (*reader->next == ':') {
        tarn_status status = read_arguments(reader, &element->arguments);
        if (status != TARN_OK) return status;
    }
    bool is_last = *reader->next == '\0';
    if (!is_last && *reader->next != '|') {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: \"%.20s\" where '|' or the end was expected",
                         column(reader), reader->next);
    }
    if (element->strategy->is_adaptor == is_last && !element->strategy->takes_pieces) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         is_last ? "column %zu: %s needs an allocator below it, as in \"%s | caching\""
                                 : "column %zu: %s stands last: it takes its memory from the device, not from \"%s\"",
                         element->arguments.column, element->arguments.name,
                         is_last ? element->arguments.name : reader->next + 1);
    }
    return TARN_OK;
}

static tarn_status read_spec(spec_reader *reader) {
    for (;;) {
        tarn_status status = read_element(reader);
        if (status != TARN_OK) return status;
        if (*reader->next == '\0') return TARN_OK;
        reader->next++;
    }
}

/* Writing the canonical text. With `out` NULL only the length is counted. */

static size_t put(char *out, size_t length, const char *text) {
    size_t added = strlen(text);
    if (out != NULL) memcpy(out + length, text, added);
    return length + added;
}

static bool needs_quotation(const memory_argument *argument) {
    const char *value = argument->value;
    size_t length = strlen(value);
    if (length == 0 || strpbrk(value, "|,\"") != NULL) return true;
    if (isspace((unsigned char)value[0]) || isspace((unsigned char)value[length - 1])) return true;
    /* What would be read as a key. */
    size_t key = 0;
    while (is_name_character(value[key])) key++;
    while (isspace((unsigned char)value[key])) key++;
    return argument->key[0] == '\0' && value[key] == '=';
}

static size_t put_value(char *out, size_t length, const memory_argument *argument) {
    if (!needs_quotation(argument)) return put(out, length, argument->value);
    length = put(out, length, "\"");
    for (const char *c = argument->value; *c != '\0'; c++) {
        char one[3] = {*c, *c == '"' ? '"' : '\0', '\0'};
        length = put(out, length, one);
    }
    return put(out, length, "\"");
}

static size_t write_from(const spec_reader *reader, size_t first, char *out) {
    size_t length = 0;
    for (size_t i = first; i < reader->element_count; i++) {
        const memory_arguments *arguments = &reader->elements[i].arguments;
        if (i > first) length = put(out, length, " | ");
        length = put(out, length, arguments->name);
        for (size_t k = 0; k < arguments->count; k++) {
            length = put(out, length, k == 0 ? ":" : ",");
            if (arguments->items[k].key[0] != '\0') {
                length = put(out, length, arguments->items[k].key);
                length = put(out, length, "=");
            }
            length = put_value(out, length, &arguments->items[k]);
        }
    }
    return length;
}

/* Creates element `index` on top of the stack so far, and makes it the top. Its name is written last, for an element may
 * have rewritten its arguments. */
static tarn_status build_element(spec_reader *reader, size_t index, tarn_device *device,
                                 tarn_allocator **inout_allocator) {
    spec_element *element = &reader->elements[index];
    tarn_allocator *allocator;
    tarn_status status = element->strategy->create(device, &element->arguments, *inout_allocator, &allocator);
    if (status != TARN_OK) return status;
    *inout_allocator = allocator;
    size_t length = write_from(reader, index, NULL);
    allocator->spec = base_allocate(length + 1, 1);
    if (allocator->spec == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for the name of an allocator");
    write_from(reader, index, allocator->spec);
    return TARN_OK;
}

static tarn_status build(spec_reader *reader, tarn_device *device, tarn_allocator **out_allocator) {
    tarn_allocator *allocator = NULL;
    for (size_t i = reader->element_count; i-- > 0;) {
        tarn_status status = build_element(reader, i, device, &allocator);
        if (status != TARN_OK) {
            tarn_allocator_release(allocator);
            return status;
        }
    }
    *out_allocator = allocator;
    return TARN_OK;
}

/* Reads and builds; the sentence of a failure begins with the spec where it is its fault. */
static tarn_status create(tarn_device *device, const char *spec, tarn_allocator **out_allocator) {
    size_t length = strnlen(spec, LONGEST_SPEC + 1);
    if (length > LONGEST_SPEC) {
        return base_fail(TARN_INVALID_ARGUMENT, "the text that names an allocator has more than %zu bytes",
                         LONGEST_SPEC);
    }
    spec_reader *reader = base_allocate(1, sizeof *reader);
    /* Each argument has two strings and may add two zeros; each element has one. */
    char *strings = base_allocate(length + 2 * MOST_ARGUMENTS + MOST_ELEMENTS + 4, 1);
    tarn_status status;
    if (reader == NULL || strings == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "no host memory to read the allocator \"%.80s\"", spec);
    } else {
        reader->text = reader->next = spec;
        reader->strings = strings;
        status = read_spec(reader);
        if (status == TARN_OK) status = build(reader, device, out_allocator);
        if (status == TARN_INVALID_ARGUMENT) status = base_fail_within(status, "allocator \"%.200s\"", spec);
    }
    base_free(strings);
    base_free(reader);
    return status;
}

tarn_status tarn_allocator_create(tarn_device *device, const char *spec, tarn_allocator **out_allocator) {
    if (device == NULL || out_allocator == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for the allocator is NULL");
    }
    if (spec != NULL) return create(device, spec, out_allocator);
    const char *setting = base_config_text("TARN_ALLOCATOR");
    if (setting != NULL) {
        tarn_status status = create(device, setting, out_allocator);
        if (status != TARN_INVALID_ARGUMENT) return status;
        base_config_complain("TARN_ALLOCATOR", setting, tarn_last_error());
    }
    return create(device, default_spec, out_allocator);
}
