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

size_t base_utf8_length(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    size_t length = *at < 0x80                  ? 1
                    : *at >= 0xc2 && *at < 0xe0 ? 2
                    : *at >= 0xe0 && *at < 0xf0 ? 3
                    : *at >= 0xf0 && *at < 0xf5 ? 4
                                                : 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    if (length == 3 && ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] >= 0xa0))) return 0;
    if (length == 4 && ((*at == 0xf0 && at[1] < 0x90) || (*at == 0xf4 && at[1] >= 0x90))) return 0;
    return length;
}

size_t base_control_length(const char *text) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x20 || first == 0x7f) return 1;
    return first == 0xc2 && base_utf8_length(text) == 2 && (unsigned char)text[1] < 0xa0 ? 2 : 0;
}

void base_text_disarm(char *text) {
    char *to = text;
    while (*text != '\0') {
        size_t length = base_control_length(text);
        *to++ = length > 0 ? '?' : *text;
        text += length > 0 ? length : 1;
    }
    *to = '\0';
}
