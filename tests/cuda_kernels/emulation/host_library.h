/* What the tests' own versions of NVIDIA's libraries share: elements as numbers, and a kernel of the library's own on the fake driver. */
#ifndef HOST_LIBRARY_H
#define HOST_LIBRARY_H

#include <stddef.h>

#include <tarn/shape.h>

#include "backends/cuda/driver_api.h"

size_t host_element_size(tarn_element_type type);
double host_read(tarn_element_type type, const void *at);
/* Halves are rounded to the nearest one; infinities are not met in the tests. */
void host_write(tarn_element_type type, void *at, double value);

/* One kernel, with what is called of the driver for it. */
typedef struct host_kernel {
    struct driver_module_object *module;
    struct driver_function_object *function;
    int (*load)(struct driver_module_object **, const void *);
    int (*unload)(struct driver_module_object *);
    int (*find)(struct driver_function_object **, struct driver_module_object *, const char *);
    int (*launch)(struct driver_function_object *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                  driver_stream, void **, void **);
} host_kernel;

/* Finds `name` in the shared object that has the symbol `own`; 0 where it does not. */
int host_kernel_open(host_kernel *kernel, const void *own, const char *name);
void host_kernel_close(host_kernel *kernel);
/* One block of one thread, with one parameter; 0 where the driver refuses. */
int host_kernel_launch(const host_kernel *kernel, driver_stream stream, void *parameter);

#endif
