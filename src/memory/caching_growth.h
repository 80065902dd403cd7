/* Who may ask the driver for memory. Its calls take long, so they are made with the allocator's lock open, and others go on meanwhile.
 *
 * A thread that grows a heap has booked under the lock what it is about to get (caching_back.h), so that nobody else finds it. One thread at
 * a time grows a heap: a second one that misses there waits, since what the first one maps may be enough for both. Heaps of different
 * streams grow side by side. What has to see all memory where it belongs, or to be refused by the device itself and not because another
 * thread holds what it is about to give back, stops all growth first.
 *
 * All of it is called with the allocator's lock held. What waits opens the lock meanwhile; nobody who keeps others from growing waits for
 * a stream, whose work may be a host function that asks for memory. */
#ifndef MEMORY_CACHING_GROWTH_H
#define MEMORY_CACHING_GROWTH_H

#include "memory/caching_types.h"

/* True: the calling thread grows the heap now. False: it had to wait, and what others have done meanwhile may serve it. */
bool caching_growth_begin(caching_heap *heap);
void caching_growth_end(caching_heap *heap);

/* Waits until no thread grows any heap, and keeps others from it until resumed. The caller may grow heaps and give memory back. */
void caching_growth_stop(caching *owner);
void caching_growth_resume(caching *owner);

/* Waits until no thread grows any heap or gives memory back. None does until the lock is opened. */
void caching_growth_wait(caching *owner);

/* Opens the lock for a driver call, and takes it again. */
void caching_growth_open(caching *owner);
void caching_growth_close(caching *owner);

/* Makes the allocator's part of it, and ends it; and makes it anew in the child of a fork before which was waited. */
void caching_growth_start(caching *owner);
void caching_growth_finish(caching *owner);
void caching_growth_renew(caching *owner);

#endif
