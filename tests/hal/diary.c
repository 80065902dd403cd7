/* See diary.h. */
#include "diary.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t diary_lock = PTHREAD_MUTEX_INITIALIZER;
char diary[256];

void write_diary(void *context) {
    pthread_mutex_lock(&diary_lock);
    strncat(diary, context, sizeof diary - strlen(diary) - 1);
    pthread_mutex_unlock(&diary_lock);
}
