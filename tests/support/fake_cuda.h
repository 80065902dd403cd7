/* The fake CUDA driver (tests/fakecuda), as a test sees it beside the driver's own functions: found in the libcuda.so.1 that the
 * process has loaded, if that is the fake one. */
#ifndef TESTS_SUPPORT_FAKE_CUDA_H
#define TESTS_SUPPORT_FAKE_CUDA_H

#include <stddef.h>

/* What tests/fakecuda/fakecuda.h declares, function by function. */
typedef struct fake_cuda {
    unsigned long long (*violations)(const char **first);
    void (*forget_violations)(void);
    unsigned long long (*calls)(const char *symbol);
    const char *const *(*symbols)(void);
    unsigned long long (*live_objects)(const char **list);
    unsigned long long (*events)(unsigned flags);
    size_t (*memory_used)(int device);
    unsigned long long (*pending)(void);
    void (*hold)(int held);
    int (*fault)(const char *schedule);
    unsigned long long (*faults_done)(void);
    void (*lose)(int device, int error);
    void (*reset)(void);
} fake_cuda;

/* NULL where the process has loaded a real driver, or none yet. */
const fake_cuda *fake_cuda_find(void);
/* A function of the driver by its exported name, in whatever driver is loaded; NULL without one. */
void *fake_cuda_symbol(const char *name);

#endif
