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

/* Static analysis does not see into another file; told that the status comes back, it does not follow paths on which a
 * failure counts as success. */
#ifdef __clang_analyzer__
#define base_fail(status, ...) ((void)base_fail(status, __VA_ARGS__), (status))
#define base_fail_arguments(status, ...) ((void)base_fail_arguments(status, __VA_ARGS__), (status))
#define base_fail_within(status, ...) ((void)base_fail_within(status, __VA_ARGS__), (status))
#endif

#endif
