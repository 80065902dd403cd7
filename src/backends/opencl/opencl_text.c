/* Text that grows by doubling. */
#include "backends/opencl/opencl_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void opencl_text_end(opencl_text *text) {
    free(text->bytes);
    *text = (opencl_text){.bytes = NULL};
}

/* Room for `size` more bytes and the 0. */
static bool make_room(opencl_text *text, size_t size) {
    if (text->has_failed) return false;
    if (text->length + size < text->capacity) return true;
    size_t capacity = text->capacity > 0 ? text->capacity : 512;
    while (capacity <= text->length + size) capacity *= 2;
    char *larger = realloc(text->bytes, capacity);
    text->has_failed = larger == NULL;
    if (larger == NULL) return false;
    text->bytes = larger;
    text->capacity = capacity;
    return true;
}

void opencl_text_bytes(opencl_text *text, const void *bytes, size_t size) {
    if (!make_room(text, size)) return;
    memcpy(text->bytes + text->length, bytes, size);
    text->length += size;
    text->bytes[text->length] = '\0';
}

void opencl_text_print(opencl_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) text->has_failed = true;
    if (length < 0 || !make_room(text, (size_t)length)) return;
    va_start(arguments, format);
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}
