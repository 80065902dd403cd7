/* Log: what Tarn has to say that is not the answer to a call.
 *
 * One callback for the process. The default prints warnings and errors to stderr; TARN_LOG=off|error|warning|info|debug
 * changes the level. */
#ifndef TARN_LOG_H
#define TARN_LOG_H

#include <tarn/export.h>

TARN_BEGIN_DECLARATIONS

typedef enum tarn_log_level {
    TARN_LOG_OFF = 0,
    TARN_LOG_ERROR,
    TARN_LOG_WARNING,
    TARN_LOG_INFO,
    TARN_LOG_DEBUG
} tarn_log_level;

/* Called with one complete sentence, no newline. May be called from any thread, never with a Tarn lock held, and may
 * call Tarn. */
typedef void (*tarn_log_callback)(void *context, tarn_log_level level, const char *sentence);

/* Sends messages of `level` and above in weight to `callback`; a NULL callback restores the default printer. The
 * context must outlive its use. Any thread. */
TARN_API void tarn_log_set(tarn_log_callback callback, void *context, tarn_log_level level);

TARN_END_DECLARATIONS

#endif
