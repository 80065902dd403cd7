/* A log callback that remembers what it heard. */
#ifndef TESTS_BASE_HEARD_H
#define TESTS_BASE_HEARD_H

#include <tarn/log.h>

typedef struct heard {
    int count;
    tarn_log_level level; /* of the last one */
    char sentence[4096];  /* the last one */
} heard;

/* A tarn_log_callback whose context is a heard. */
void heard_callback(void *context, tarn_log_level level, const char *sentence);

#endif
