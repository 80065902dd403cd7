/* Sending sentences to the log callback. Never call with a lock held. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <tarn/log.h>

void base_log(tarn_log_level level, const char *format, ...) TARN_PRINTF(2, 3);
/* Whether a message of this level would be seen: for messages that cost something to make. */
int base_log_wants(tarn_log_level level);

#endif
