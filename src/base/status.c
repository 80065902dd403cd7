/* Status names and the last sentence.
 *
 * Each thread has one buffer of its own. A sentence is always composed beside it and copied in whole, because the arguments
 * of a new sentence may point into the old one. */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

/* The header wraps them. */
#undef base_fail
#undef base_fail_arguments
#undef base_fail_within

#define SENTENCE_CAPACITY 1024

static _Thread_local char last_sentence[SENTENCE_CAPACITY];

const char *tarn_status_name(tarn_status status) {
    switch (status) {
    case TARN_OK: return "OK";
    case TARN_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case TARN_INVALID_STATE: return "INVALID_STATE";
    case TARN_OUT_OF_MEMORY: return "OUT_OF_MEMORY";
    case TARN_LIMIT_EXCEEDED: return "LIMIT_EXCEEDED";
    case TARN_NOT_SUPPORTED: return "NOT_SUPPORTED";
    case TARN_UNAVAILABLE: return "UNAVAILABLE";
    case TARN_NOT_FOUND: return "NOT_FOUND";
    case TARN_ALREADY_EXISTS: return "ALREADY_EXISTS";
    case TARN_SHUT_DOWN: return "SHUT_DOWN";
    case TARN_BUSY: return "BUSY";
    case TARN_DEVICE_LOST: return "DEVICE_LOST";
    case TARN_CORRUPT_DATA: return "CORRUPT_DATA";
    case TARN_IO_ERROR: return "IO_ERROR";
    case TARN_INTERNAL: return "INTERNAL";
    }
    return "UNKNOWN";
}

const char *tarn_last_error(void) { return last_sentence; }

tarn_status base_fail_arguments(tarn_status status, const char *format, va_list arguments) {
    char sentence[SENTENCE_CAPACITY];
    if (vsnprintf(sentence, sizeof sentence, format, arguments) < 0) sentence[0] = '\0';
    memcpy(last_sentence, sentence, sizeof sentence);
    return status;
}

tarn_status base_fail(tarn_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    base_fail_arguments(status, format, arguments);
    va_end(arguments);
    return status;
}

tarn_status base_fail_within(tarn_status status, const char *format, ...) {
    char sentence[SENTENCE_CAPACITY];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (length < 0) length = 0;
    size_t used = (size_t)length < sizeof sentence ? (size_t)length : sizeof sentence - 1;
    snprintf(sentence + used, sizeof sentence - used, ": %s", last_sentence);
    memcpy(last_sentence, sentence, sizeof sentence);
    return status;
}
