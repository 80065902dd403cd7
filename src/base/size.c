/* Reading and printing sizes.
 *
 * All in whole numbers and independent of the locale. A unit is a shift by a multiple of ten bits, so its place in the list
 * of letters is all there is to know about it. */
#include <tarn/size.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/status.h"

static const char unit_letters[] = "BKMGTPE";

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads what stands behind the number; -1 when it is no unit. */
static int unit_shift(const char *text) {
    if (text[0] == '\0') return 0;
    const char *letter = strchr(unit_letters, toupper((unsigned char)text[0]));
    if (letter == NULL) return -1;
    int shift = 10 * (int)(letter - unit_letters);
    const char *rest = text + 1;
    if (rest[0] == '\0') return shift;
    if (shift > 0 && (strcasecmp(rest, "B") == 0 || strcasecmp(rest, "iB") == 0)) return shift;
    return -1;
}

/* The bytes of the fraction 0.[digits, end) of a unit, rounded down. Goes from the last digit to the first: nothing is
 * lost by rounding down at each step, and ten times the largest unit still fits. */
static uint64_t fraction_bytes(const char *digits, const char *end, int shift) {
    uint64_t bytes = 0;
    while (end-- > digits) bytes = (((uint64_t)(*end - '0') << shift) + bytes) / 10;
    return bytes;
}

tarn_status tarn_size_parse(const char *text, uint64_t *out_bytes) {
    if (text == NULL || out_bytes == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "size: no text or no place for the result");

    const char *c = text;
    uint64_t whole = 0;
    bool fits = true;
    for (; is_digit(*c); c++) {
        fits = fits && !__builtin_mul_overflow(whole, UINT64_C(10), &whole) &&
               !__builtin_add_overflow(whole, (uint64_t)(*c - '0'), &whole);
    }
    bool is_number = c > text;
    const char *fraction = c, *fraction_end = c;
    if (*c == '.') {
        fraction = ++c;
        while (is_digit(*c)) c++;
        fraction_end = c;
        is_number = is_number && fraction_end > fraction;
    }
    int shift = is_number ? unit_shift(c) : -1;
    /* A byte has no parts. */
    if (shift < 0 || (shift == 0 && fraction_end > fraction)) {
        return base_fail(TARN_INVALID_ARGUMENT, "\"%.80s\" is not a size such as 8GiB, 512M or 1048576", text);
    }
    uint64_t bytes = 0;
    fits = fits && whole <= UINT64_MAX >> shift &&
           !__builtin_add_overflow(whole << shift, fraction_bytes(fraction, fraction_end, shift), &bytes);
    if (!fits) return base_fail(TARN_INVALID_ARGUMENT, "the size \"%.80s\" does not fit into 64 bits", text);
    *out_bytes = bytes;
    return TARN_OK;
}

char *tarn_size_format(uint64_t bytes, char out_text[TARN_SIZE_TEXT]) {
    int unit = 0;
    while (unit < 6 && bytes >> (10 * unit) >= 1024) unit++;
    if (unit == 0) {
        snprintf(out_text, TARN_SIZE_TEXT, "%" PRIu64 " B", bytes);
        return out_text;
    }
    int shift = 10 * unit;
    uint64_t whole = bytes >> shift;
    uint64_t rest = bytes & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    uint64_t tenths = whole * 10 + ((rest * 10 + half) >> shift);
    uint64_t rounded = whole + (rest >= half);

    if (rest == 0) {
        snprintf(out_text, TARN_SIZE_TEXT, "%" PRIu64 " %ciB", whole, unit_letters[unit]);
    } else if (tenths < 1000) {
        snprintf(out_text, TARN_SIZE_TEXT, "%" PRIu64 ".%" PRIu64 " %ciB", tenths / 10, tenths % 10,
                 unit_letters[unit]);
    } else if (rounded < 1024 || unit == 6) {
        snprintf(out_text, TARN_SIZE_TEXT, "%" PRIu64 " %ciB", rounded, unit_letters[unit]);
    } else {
        snprintf(out_text, TARN_SIZE_TEXT, "1.0 %ciB", unit_letters[unit + 1]);
    }
    return out_text;
}
