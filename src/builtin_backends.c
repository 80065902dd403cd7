/* The backends that are part of the library: the one file that names them. */
#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda.h"
#include "backends/sim/sim.h"
#include "hal/registry.h"

const tarn_backend *const hal_builtin_backends[] = {&cpu_backend, &sim_backend, &cuda_backend, NULL};
