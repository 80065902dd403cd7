/* The `planned` strategy; see planned.c. */
#ifndef MEMORY_PLANNED_H
#define MEMORY_PLANNED_H

#include "memory/strategy.h"

extern const memory_strategy planned_strategy;

#endif
