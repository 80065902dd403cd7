/* The strategy that keeps what is freed, by size. */
#ifndef MEMORY_POOL_H
#define MEMORY_POOL_H

#include "memory/strategy.h"

/* pool, and kind=… where it stands last. */
extern const memory_strategy pool_strategy;

#endif
