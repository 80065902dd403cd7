/* Threads of the driver. Without FAKECUDA_THREADS there is one: it runs host functions, which a driver never runs on the thread of
 * a caller, and whatever is ready once the program has been silent for a while. With it there are several, and they run all work
 * as soon as it may run, after a pause of random length. */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 4 };
static pthread_t threads[THREADS];
static size_t thread_count;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool is_stopping;
static fake_task **given; /* host functions that somebody waits for, oldest first */
static size_t given_count;

static fake_task *take_given(void) {
    if (given_count == 0) return NULL;
    fake_task *first = given[0];
    given_count--;
    for (size_t i = 0; i < given_count; i++) given[i] = given[i + 1];
    return first;
}

static void sleep_until_woken(unsigned long long nanoseconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    unsigned long long sum = (unsigned long long)until.tv_nsec + nanoseconds;
    until.tv_sec += (time_t)(sum / 1000000000);
    until.tv_nsec = (long)(sum % 1000000000);
    pthread_cond_timedwait(&wake, &the_driver.lock, &until);
}

static void pause_a_little(void) {
    unsigned long long microseconds = random_number() % (the_driver.settings.delay_microseconds + 1ull);
    if (microseconds == 0) return;
    pthread_mutex_unlock(&the_driver.lock);
    const struct timespec time = {(time_t)(microseconds / 1000000), (long)(microseconds % 1000000 * 1000)};
    nanosleep(&time, NULL);
    pthread_mutex_lock(&the_driver.lock);
}

/* What the thread for host functions does next; NULL when it has waited instead. */
static fake_task *next_when_late(void) {
    fake_task *next = take_given();
    unsigned long long idle = the_driver.settings.idle_milliseconds * 1000000ull;
    if (next != NULL) return next;
    if (tasks_pending() == 0 || idle == 0 || the_driver.is_held) {
        pthread_cond_wait(&wake, &the_driver.lock);
        return NULL;
    }
    unsigned long long silent = now_nanoseconds() - the_driver.last_call;
    if (silent >= idle) next = tasks_pick();
    if (next == NULL) sleep_until_woken(silent < idle ? idle - silent : idle);
    return next;
}

static fake_task *next_when_soon(void) {
    fake_task *next = take_given();
    if (next != NULL) return next;
    if (!the_driver.is_held) next = tasks_pick();
    if (next == NULL) pthread_cond_wait(&wake, &the_driver.lock);
    else pause_a_little();
    return next;
}

static void *work(void *unused) {
    (void)unused;
    pthread_mutex_lock(&the_driver.lock);
    while (!is_stopping) {
        fake_task *next = the_driver.settings.threads ? next_when_soon() : next_when_late();
        if (next != NULL) task_run(next);
    }
    pthread_mutex_unlock(&the_driver.lock);
    return NULL;
}

static void start(void) {
    size_t wanted = the_driver.settings.threads ? THREADS : 1;
    while (thread_count < wanted && !is_stopping) {
        if (pthread_create(&threads[thread_count], NULL, work, NULL) != 0) abort();
        thread_count++;
    }
}

void workers_give(fake_task *task) {
    given = grow(given, given_count, sizeof(struct fake_task *));
    given[given_count++] = task;
    workers_wake();
}

void workers_wake(void) {
    if (thread_count == 0 && tasks_pending() > 0) start();
    pthread_cond_broadcast(&wake);
}

void workers_stop(void) {
    pthread_mutex_lock(&the_driver.lock);
    is_stopping = true;
    pthread_cond_broadcast(&wake);
    size_t count = thread_count;
    pthread_mutex_unlock(&the_driver.lock);
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    pthread_mutex_lock(&the_driver.lock);
    thread_count = 0;
    is_stopping = false;
    free(given);
    given = NULL;
    given_count = 0;
    pthread_mutex_unlock(&the_driver.lock);
}
