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

/* The functions always return what they are given. These say so to compilers and to static analysis, which do not see into
 * another file and would otherwise follow paths on which a failure counts as success. */
#define BASE_FAILED(call, status)                        \
    __extension__({                                      \
        const tarn_status base_failed_status = (status); \
        (void)(call);                                    \
        base_failed_status;                              \
    })
#define base_fail(status, ...) BASE_FAILED((base_fail)(base_failed_status, __VA_ARGS__), status)
#define base_fail_arguments(status, ...) BASE_FAILED((base_fail_arguments)(base_failed_status, __VA_ARGS__), status)
#define base_fail_within(status, ...) BASE_FAILED((base_fail_within)(base_failed_status, __VA_ARGS__), status)

#endif
