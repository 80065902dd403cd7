/* What tests ask of their libcudnn beside the library's own functions. */
#ifndef FAKE_CUDNN_H
#define FAKE_CUDNN_H

#include <stdbool.h>

#include "backends/cuda/operations/dnn_library.h"

#define EXPORT __attribute__((visibility("default")))

/* Fails the call of that number, from 1 on, of the function of that name, with a status in the numbers of version 9; all of them for -1. NULL:
 * none. The name stays the caller's. */
EXPORT void fakecudnn_fail(const char *name, int call, int status);
EXPORT int fakecudnn_has_failed(void);
/* Handles and descriptions that were made and not ended. */
EXPORT int fakecudnn_alive(void);
/* Convolutions that were enqueued. */
EXPORT int fakecudnn_launches(void);

#endif
