/* Failing in one line: the sentence is kept for the calling thread and the status is returned. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>

#include <tarn/status.h>

/* Keeps the formatted sentence (cut at 1,023 bytes) as the calling thread's last error, and returns `status`. */
tarn_status base_fail(tarn_status status, const char *format, ...) TARN_PRINTF(2, 3);
tarn_status base_fail_arguments(tarn_status status, const char *format, va_list arguments) TARN_PRINTF(2, 0);

/* Puts "prefix: " before the calling thread's sentence, and returns `status`: for callers that know the object. The
 * prefix may contain the current sentence's own text. */
tarn_status base_fail_within(tarn_status status, const char *format, ...) TARN_PRINTF(2, 3);

#endif
