/* All kernels that are there before a program runs, for the fake driver. */
#include "emulation.h"

#include "backends/cuda/kernels/all.cu"

#define CUDA_KERNEL(name) EMULATED(name)
#include "backends/cuda/kernels/names.h"
