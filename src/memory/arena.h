/* The strategy that bumps a pointer. */
#ifndef MEMORY_ARENA_H
#define MEMORY_ARENA_H

#include "memory/strategy.h"

/* arena[:chunk=SIZE], and kind=… where it stands last. */
extern const memory_strategy arena_strategy;

#endif
