/* caching: the allocator that keeps what it has and uses it again. Its design is told in docs/architecture.md. */
#ifndef MEMORY_CACHING_H
#define MEMORY_CACHING_H

#include "memory/strategy.h"

/* caching[:expandable=on|off, gc=FRACTION, kind=…, thread_cache=SIZE, settle=N, reserve=SIZE, ahead=SIZE] */
extern const memory_strategy caching_strategy;

#endif
