/* Numbers in pickles: in bytes, and in the oldest instructions as lines of text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

/* The text up to the end of the line, as the oldest instructions have it. */
tarn_status pickle_take_line(pickle_machine *m, char out_text[pickle_number_text]) {
    size_t left = m->input->size - m->at;
    const uint8_t *start = m->input->data + m->at;
    const uint8_t *end = left == 0 ? NULL : memchr(start, '\n', left < pickle_number_text ? left : pickle_number_text);
    if (end == NULL)
        return left < pickle_number_text ? pickle_truncated(m)
                                         : pickle_corrupt(m, "a number as text of more than 63 characters");
    size_t length = (size_t)(end - start);
    memcpy(out_text, start, length);
    out_text[length] = '\0';
    if (memchr(out_text, '\0', length) != NULL) return pickle_corrupt(m, "a NUL in a number written as text");
    m->at += length + 1;
    return TARN_OK;
}

/* A signed little-endian number of any length. */
tarn_status pickle_push_long(pickle_machine *m, unsigned length_width) {
    uint64_t length = 0;
    tarn_status status = pickle_take_number(m, length_width, &length);
    if (status != TARN_OK) return status;
    const uint8_t *bytes = pickle_take(m, length);
    if (bytes == NULL) return pickle_truncated(m);
    if (length == 0) return pickle_push_integer(m, 0);
    bool negative = (bytes[length - 1] & 0x80) != 0;
    uint8_t sign = negative ? 0xff : 0;
    uint64_t number = negative ? UINT64_MAX : 0;
    for (uint64_t i = length; i-- > 0;) {
        if (i >= 8 && bytes[i] != sign) return pickle_push(m, (pickle_value){.type = PICKLE_HUGE});
        if (i < 8) number = number << 8 | bytes[i];
    }
    bool top_bit = number >> 63 != 0;
    if (top_bit == negative) return pickle_push_integer(m, (int64_t)number);
    if (negative) return pickle_push(m, (pickle_value){.type = PICKLE_HUGE});
    return pickle_push(m, (pickle_value){.type = PICKLE_UNSIGNED, .is.unsigned_integer = number});
}

tarn_status pickle_push_integer_text(pickle_machine *m, bool is_long) {
    char text[pickle_number_text] = "";
    tarn_status status = pickle_take_line(m, text);
    if (status != TARN_OK) return status;
    size_t length = strlen(text);
    if (!is_long && (strcmp(text, "00") == 0 || strcmp(text, "01") == 0))
        return pickle_push(m, (pickle_value){.type = PICKLE_BOOLEAN, .is.boolean = text[1] == '1'});
    if (is_long && length > 0 && text[length - 1] == 'L') text[--length] = '\0';
    char *end;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (length == 0 || *end != '\0') return pickle_corrupt(m, "a number that is none");
    if (errno == 0) return pickle_push_integer(m, integer);
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || text[0] == '-') return pickle_push(m, (pickle_value){.type = PICKLE_HUGE});
    return pickle_push(m, (pickle_value){.type = PICKLE_UNSIGNED, .is.unsigned_integer = number});
}

tarn_status pickle_push_float_text(pickle_machine *m) {
    char text[pickle_number_text] = "";
    tarn_status status = pickle_take_line(m, text);
    if (status != TARN_OK) return status;
    char *end;
    double real = strtod(text, &end);
    if (end == text || *end != '\0') return pickle_corrupt(m, "a number that is none");
    return pickle_push(m, (pickle_value){.type = PICKLE_FLOAT, .is.real = real});
}

/* Eight bytes, the highest first. */
tarn_status pickle_push_float(pickle_machine *m) {
    const uint8_t *bytes = pickle_take(m, 8);
    if (bytes == NULL) return pickle_truncated(m);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    pickle_value value = {.type = PICKLE_FLOAT};
    memcpy(&value.is.real, &bits, sizeof bits);
    return pickle_push(m, value);
}
