/* A log callback that remembers what it heard. */
#include "heard.h"

#include <stdio.h>

void heard_callback(void *context, tarn_log_level level, const char *sentence) {
    heard *all = context;
    all->count++;
    all->level = level;
    snprintf(all->sentence, sizeof all->sentence, "%s", sentence);
}
