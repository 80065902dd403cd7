/* Settings from the environment.
 *
 * Nothing is cached: the caller decides when to read. The names that have been complained about are remembered in a small
 * table of fixed size, so that complaining needs no memory. */
#include "base/config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Tarn knows a handful of settings. Names beyond the table are not remembered and complained about each time. */
#define REMEMBERED_NAMES 16
#define NAME_CAPACITY 48

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char remembered[REMEMBERED_NAMES][NAME_CAPACITY]; /* protected by lock; the first empty one ends the list */

const char *base_config_text(const char *name) {
    const char *text = secure_getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* A leaf: no lock is taken with it held, so that it has no place in an order with those that a fork takes. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

/* Where there is no memory for that, a fork is as unsafe as everywhere else in a program without memory. */
static void watch_lock(void) { (void)pthread_atfork(before_fork, after_fork, after_fork); }

/* Whether `name` is seen for the first time; from then on it is not. */
static bool remember(const char *name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bool first = true;
    pthread_once(&once, watch_lock);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < REMEMBERED_NAMES; i++) {
        if (remembered[i][0] == '\0') {
            if (strlen(name) < NAME_CAPACITY) strcpy(remembered[i], name);
            break;
        }
        if (strcmp(remembered[i], name) == 0) {
            first = false;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return first;
}

void base_config_complain(const char *name, const char *value, const char *why) {
    if (!remember(name)) return;
    base_log(TARN_LOG_WARNING, "%s=%s is ignored: %s", name, value != NULL ? value : "", why);
}
