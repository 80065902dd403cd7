/* Pieces of text, one behind the other. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void base_text_begin(base_text *text, char *out, size_t capacity) {
    *text = (base_text){.out = out, .capacity = out != NULL ? capacity : 0};
    if (out != NULL && capacity > 0) out[0] = '\0';
}

void base_text_put(base_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = text->length < text->capacity ? text->capacity - text->length : 0;
    int added = vsnprintf(room > 0 ? text->out + text->length : NULL, room, format, arguments);
    va_end(arguments);
    if (added > 0) text->length += (size_t)added;
}
