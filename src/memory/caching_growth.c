/* Who may ask the driver for memory; see caching_growth.h. */
#include "memory/caching_growth.h"

#include "memory/caching_figures.h"

/* What others did meanwhile may have made the calling thread's figures old. */
static void wait_for_change(caching *owner) {
    pthread_cond_wait(&owner->growth_changed, &owner->lock);
    caching_cache_publish_own(owner);
}

bool caching_growth_begin(caching_heap *heap) {
    caching *owner = heap->owner;
    if (heap->is_growing || owner->stops != 0) {
        heap->in_line++;
        while (heap->is_growing || owner->stops != 0) wait_for_change(owner);
        /* Who makes memory ahead of need lets others go first. */
        if (--heap->in_line == 0 && heap->is_behind) pthread_cond_broadcast(&owner->growth_changed);
        return false;
    }
    heap->is_growing = true;
    owner->growing++;
    return true;
}

void caching_growth_end(caching_heap *heap) {
    heap->is_growing = false;
    heap->owner->growing--;
    pthread_cond_broadcast(&heap->owner->growth_changed);
}

void caching_growth_stop(caching *owner) {
    owner->stops++;
    while (owner->growing != 0 || owner->is_stopped) wait_for_change(owner);
    owner->is_stopped = true;
}

void caching_growth_resume(caching *owner) {
    owner->stops--;
    owner->is_stopped = false;
    pthread_cond_broadcast(&owner->growth_changed);
}

void caching_growth_wait(caching *owner) {
    if (owner->growing == 0 && !owner->is_stopped) return;
    caching_growth_stop(owner);
    caching_growth_resume(owner);
}

void caching_growth_open(caching *owner) { pthread_mutex_unlock(&owner->lock); }

void caching_growth_close(caching *owner) {
    pthread_mutex_lock(&owner->lock);
    caching_cache_publish_own(owner);
}

void caching_growth_start(caching *owner) { pthread_cond_init(&owner->growth_changed, NULL); }

void caching_growth_finish(caching *owner) { pthread_cond_destroy(&owner->growth_changed); }

void caching_growth_renew(caching *owner) {
    /* The parent's threads that wait are not here. */
    pthread_cond_init(&owner->growth_changed, NULL);
    owner->stops = 0;
}
