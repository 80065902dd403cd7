/* The process's one log.
 *
 * The receiver is callback, context and level together, so it is read and replaced under a lock and called outside it: a
 * callback may therefore log, or replace itself. The level alone is also kept where it can be read without the lock,
 * since most messages are not wanted. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/config.h"
#include "base/text.h"

#define SENTENCE_CAPACITY 2048

static const char *const level_names[] = {"off", "error", "warning", "info", "debug"};

/* One line: what a message quotes from a file or the environment neither ends it nor steers the terminal. */
static void print_to_stderr(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    char line[SENTENCE_CAPACITY];
    strcpy(line, sentence);
    base_text_disarm(line);
    fprintf(stderr, "tarn: %s: %s\n", level_names[level], line);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static tarn_log_callback receiver = print_to_stderr; /* protected by lock */
static void *receiver_context;                       /* protected by lock */
/* Written under the lock; read anywhere. Relaxed: it guards no other data. */
static _Atomic int wanted_level = TARN_LOG_WARNING;

static pthread_once_t begun = PTHREAD_ONCE_INIT;
/* TARN_LOG could not be understood and nobody has said so yet. */
static _Atomic int environment_is_garbage;

static void read_environment(void) {
    const char *text = base_config_text("TARN_LOG");
    if (text == NULL) return;
    for (int level = TARN_LOG_OFF; level <= TARN_LOG_DEBUG; level++) {
        if (strcasecmp(text, level_names[level]) != 0) continue;
        atomic_store_explicit(&wanted_level, level, memory_order_relaxed);
        return;
    }
    atomic_store(&environment_is_garbage, 1);
}

/* Nothing is logged with another lock held, so that this one has no place in an order with those that a fork takes. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

static void begin(void) {
    /* Where there is no memory for that, a fork is as unsafe as everywhere else in a program without memory. */
    (void)pthread_atfork(before_fork, after_fork, after_fork);
    read_environment();
}

/* The complaint is itself a message, so it is made after the reading is over, by whoever comes first. */
static void prepare(void) {
    pthread_once(&begun, begin);
    if (atomic_load_explicit(&environment_is_garbage, memory_order_relaxed) == 0) return;
    if (atomic_exchange(&environment_is_garbage, 0) == 0) return;
    base_config_complain("TARN_LOG", base_config_text("TARN_LOG"), "it is none of off, error, warning, info, debug");
}

void tarn_log_set(tarn_log_callback callback, void *context, tarn_log_level level) {
    /* The environment is read first, so that it cannot overrule this call later. */
    pthread_once(&begun, begin);
    pthread_mutex_lock(&lock);
    receiver = callback != NULL ? callback : print_to_stderr;
    receiver_context = callback != NULL ? context : NULL;
    atomic_store_explicit(&wanted_level, (int)level, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}

int base_log_wants(tarn_log_level level) {
    prepare();
    return level != TARN_LOG_OFF && (int)level <= atomic_load_explicit(&wanted_level, memory_order_relaxed);
}

void base_log(tarn_log_level level, const char *format, ...) {
    if (!base_log_wants(level)) return;
    char sentence[SENTENCE_CAPACITY];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (length < 0) return;

    pthread_mutex_lock(&lock);
    tarn_log_callback callback = receiver;
    void *context = receiver_context;
    int wanted = atomic_load_explicit(&wanted_level, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    if ((int)level <= wanted) callback(context, level, sentence);
}
