/* direct: one driver call for each request. */
#ifndef MEMORY_DIRECT_H
#define MEMORY_DIRECT_H

#include "memory/strategy.h"

extern const memory_strategy direct_strategy;

#endif
