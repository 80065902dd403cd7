/* What a fork means for the room's locks: all are taken before it, so that the child finds what they protect whole, and
 * the locks free. */
#ifndef MEMORY_FORK_H
#define MEMORY_FORK_H

#include <pthread.h>
#include <stdbool.h>

/* Has `lock` held around each fork from now on. At most one `is_innermost` lock: it is taken while others are held. False
 * when there is no host memory; an innermost lock needs none. Not called with a watched lock held, except the innermost
 * by itself. */
bool memory_fork_watch(pthread_mutex_t *lock, bool is_innermost);
/* The same for a lock that others wait for something with, or that is opened while what it protects is not whole: what is done besides, with
 * the lock held. */
typedef struct memory_fork_duty {
    void (*before)(
        void *context); /* may open the lock, and waits until the child would find all that it protects whole */
    void (*in_child)(void *context); /* makes anew what other threads of the parent may have waited for */
    void *context;
} memory_fork_duty;
bool memory_fork_watch_with(pthread_mutex_t *lock, memory_fork_duty duty);
/* Ends that, before the lock is destroyed. A lock that is not watched is ignored. */
void memory_fork_forget(pthread_mutex_t *lock);

#endif
