/* Settings from the environment: TARN_ALLOCATOR, TARN_LOG, TARN_BACKEND_PATH, TARN_CPU_ISA, TARN_NUM_THREADS,
 * TARN_CUDA_DRIVER. A value that cannot be understood is reported once and ignored; in a setuid program all are ignored. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>

/* The value of an environment variable, NULL when unset, empty, or in a setuid program. */
const char *base_config_text(const char *name);
/* Warns that `name` has a value that is ignored, and why: once for each name in the life of the process. */
void base_config_complain(const char *name, const char *value, const char *why);

#endif
