/* Watched locks, and the handlers that take them around a fork.
 *
 * Handlers that run before a fork run in the reverse order of their installation. The first allocator comes after the first
 * device, so the locks of this room are taken before those of the hardware layer, as everywhere. */
#include "memory/fork.h"

#include "base/memory.h"

typedef struct watched_lock {
    pthread_mutex_t *lock;
    memory_fork_duty duty;
    struct watched_lock *next;
} watched_lock;

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
/* Protected by list_lock. */
static watched_lock *watched;
/* Set once, before other threads can know the lock. */
static pthread_mutex_t *_Atomic innermost;

static void before_fork(void) {
    pthread_mutex_lock(&list_lock);
    for (watched_lock *entry = watched; entry != NULL; entry = entry->next) {
        pthread_mutex_lock(entry->lock);
        if (entry->duty.before != NULL) entry->duty.before(entry->duty.context);
    }
    if (innermost != NULL) pthread_mutex_lock(innermost);
}

static void after_fork(void) {
    if (innermost != NULL) pthread_mutex_unlock(innermost);
    for (watched_lock *entry = watched; entry != NULL; entry = entry->next) pthread_mutex_unlock(entry->lock);
    pthread_mutex_unlock(&list_lock);
}

static void after_fork_in_child(void) {
    for (watched_lock *entry = watched; entry != NULL; entry = entry->next)
        if (entry->duty.in_child != NULL) entry->duty.in_child(entry->duty.context);
    after_fork();
}

static void install(void) {
    /* When there is no memory for it, a fork is as unsafe as everywhere else in a program without memory. */
    (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

bool memory_fork_watch(pthread_mutex_t *lock, bool is_innermost) {
    if (!is_innermost) return memory_fork_watch_with(lock, (memory_fork_duty){0});
    innermost = lock;
    return true;
}

bool memory_fork_watch_with(pthread_mutex_t *lock, memory_fork_duty duty) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    watched_lock *entry = base_allocate(1, sizeof *entry);
    if (entry == NULL) return false;
    entry->lock = lock;
    entry->duty = duty;
    pthread_mutex_lock(&list_lock);
    /* Behind the others: locks are taken in the order in which they were first watched. */
    watched_lock **link = &watched;
    while (*link != NULL) link = &(*link)->next;
    entry->next = NULL;
    *link = entry;
    pthread_mutex_unlock(&list_lock);
    return true;
}

void memory_fork_forget(pthread_mutex_t *lock) {
    pthread_mutex_lock(&list_lock);
    watched_lock **link = &watched;
    while (*link != NULL && (*link)->lock != lock) link = &(*link)->next;
    watched_lock *entry = *link;
    if (entry != NULL) *link = entry->next;
    pthread_mutex_unlock(&list_lock);
    base_free(entry);
}
