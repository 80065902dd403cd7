/* Helpers for the tests of the fake driver: a driver as new, a context, and checks of results by name. */
#ifndef FAKECUDA_CHECK_H
#define FAKECUDA_CHECK_H

#include "declarations.h"
#include "fakecuda.h"

/* The context of device 0 and that of device 1; NULL where start() found no such device. */
extern CUcontext contexts[2];

/* A driver as new with these settings, "NAME=value" with spaces between them and FAKECUDA_ left out, other settings as they are
 * by default but that nothing runs for idleness; device 0's context is current. */
void start(const char *settings);

#define CHECK(result) check_result((result), CUDA_SUCCESS, #result, __FILE__, __LINE__)
#define CHECK_IS(result, expected) check_result((result), (expected), #result, __FILE__, __LINE__)
void check_result(CUresult result, CUresult expected, const char *call, const char *file, int line);

/* That there were so many violations since the last such check, and that the first one's sentence contains the words. */
void check_violations(unsigned long long expected, const char *words);

CUdeviceptr allocate(size_t size);
CUstream stream_new(unsigned flags);
CUevent event_new(void);
/* Copies from or to memory of a device and waits. */
void put(CUdeviceptr to, const void *from, size_t size);
void get(void *to, CUdeviceptr from, size_t size);

#endif
