/* The strategy `cuda_async`; see cuda_async.c. */
#ifndef MEMORY_CUDA_ASYNC_H
#define MEMORY_CUDA_ASYNC_H

#include "memory/strategy.h"

extern const memory_strategy cuda_async_strategy;

#endif
