/* The invariants of caching_types.h, checked. */
#ifndef MEMORY_CACHING_CHECK_H
#define MEMORY_CACHING_CHECK_H

#include "memory/caching_types.h"

/* Walks everything; INTERNAL with the first thing that is wrong. The lock is held and the caches are flushed. */
tarn_status caching_check_all(caching *owner);

#endif
