/* The host's processors as a device: README.md tells how. */
#ifndef CPU_H
#define CPU_H

#include <tarn/backend.h>

extern const tarn_backend cpu_backend;

#endif
