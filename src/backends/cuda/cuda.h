/* The CUDA backend: NVIDIA GPUs through the driver's library, which is opened at run time. README.md tells how. */
#ifndef CUDA_BACKEND_H
#define CUDA_BACKEND_H

#include <tarn/backend.h>

extern const tarn_backend cuda_backend;

#endif
