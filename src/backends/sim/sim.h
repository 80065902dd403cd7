/* The simulated device: README.md tells what it does and which arguments it takes. */
#ifndef SIM_H
#define SIM_H

#include <tarn/backend.h>

extern const tarn_backend sim_backend;

#endif
