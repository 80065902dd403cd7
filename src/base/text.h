/* Text that is written piece by piece into whatever room there is, while the length of the whole is counted, as snprintf
 * does. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

#include <tarn/export.h>

typedef struct base_text {
    char *out;
    size_t capacity;
    size_t length; /* of the whole text */
} base_text;

/* Begins an empty text. `out` may be NULL: then only the length is counted. */
void base_text_begin(base_text *text, char *out, size_t capacity);
void base_text_put(base_text *text, const char *format, ...) TARN_PRINTF(2, 3);

/* Bytes of the UTF-8 character that `text` begins with, 1 to 4; 0 where it begins with none. */
size_t base_utf8_length(const char *text);

/* Bytes of the control character that `text` begins with, which a terminal would obey: U+0000 to U+001F, U+007F to U+009F. 0 where it
 * begins with none. */
size_t base_control_length(const char *text);
/* Puts '?' in the place of each control character, so that what stands in a file or a name cannot steer a terminal. */
void base_text_disarm(char *text);

#endif
