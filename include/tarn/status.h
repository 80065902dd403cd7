/* Status: how every Tarn function says whether it succeeded.
 *
 * A function that can fail returns a tarn_status. Results come through `out_` parameters, which are untouched on
 * failure. The sentence that explains the last failure of the calling thread is tarn_last_error(). */
#ifndef TARN_STATUS_H
#define TARN_STATUS_H

#include <tarn/export.h>

TARN_BEGIN_DECLARATIONS

typedef enum tarn_status {
    TARN_OK = 0,
    TARN_INVALID_ARGUMENT,
    TARN_INVALID_STATE,
    TARN_OUT_OF_MEMORY,
    TARN_LIMIT_EXCEEDED,
    TARN_NOT_SUPPORTED,
    TARN_UNAVAILABLE,
    TARN_NOT_FOUND,
    TARN_ALREADY_EXISTS,
    TARN_SHUT_DOWN,
    TARN_BUSY,
    TARN_DEVICE_LOST,
    TARN_CORRUPT_DATA,
    TARN_IO_ERROR,
    TARN_INTERNAL
} tarn_status;

/* The name of a status as the documents write it, "OUT_OF_MEMORY". Never NULL; an unknown value is "UNKNOWN".
 * Any thread. */
TARN_API const char *tarn_status_name(tarn_status status);

/* The sentence of the calling thread's last failure: what failed, on which object, with which numbers. Empty before
 * the first one; success does not clear it. Valid until the thread's next failing call; never freed by the caller. */
TARN_API const char *tarn_last_error(void);

TARN_END_DECLARATIONS

#endif
