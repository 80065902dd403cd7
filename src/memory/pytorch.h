/* The strategy that models PyTorch's allocator. */
#ifndef MEMORY_PYTORCH_H
#define MEMORY_PYTORCH_H

#include "memory/strategy.h"

extern const memory_strategy pytorch_strategy;

#endif
