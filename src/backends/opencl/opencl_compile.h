/* Compiled kernels: kept by the device while it is open, and on disk for the next process. */
#ifndef OPENCL_COMPILE_H
#define OPENCL_COMPILE_H

#include "backends/opencl/opencl_internal.h"
#include "backends/opencl/opencl_text.h"

/* The texts in kernels/, ended by 0. */
extern const char opencl_source_prelude[];
extern const char opencl_source_common[];
extern const char opencl_source_lanes[];
extern const char opencl_source_circle[];
extern const char opencl_source_power[];
extern const char opencl_source_rows[];
extern const char opencl_source_gather[];
extern const char opencl_source_pooling[];
extern const char opencl_source_product[];
extern const char opencl_source_pack[];
extern const char opencl_source_registers[];
extern const char opencl_source_tiles[];
extern const char opencl_source_direct[];
extern const char opencl_source_epilogue[];

#define OPENCL_KERNELS 2

/* A program with its kernels, run and finish; a program may lack the second. It stays at its place until the device is closed. */
typedef struct opencl_compiled {
    opencl_text key;
    struct opencl_compiled *next; /* protected by the lock of the device's programs */

    /* Held while it is compiled, and from the first argument of a launch to its enqueueing, since a kernel has its arguments inside. Protects the
     * rest, which stays as it is once the program is ready. Taken after no other lock than a stream's of its scratch memory. */
    pthread_mutex_t lock;
    bool is_ready; /* compiled; else the rest is NULL */
    cl_program program;
    cl_kernel kernels[OPENCL_KERNELS];
} opencl_compiled;

tarn_status opencl_programs_begin(tarn_backend_device *device);
void opencl_programs_end(tarn_backend_device *device);

/* Writes the source of what the key stands for, without the prelude. */
typedef void (*opencl_writer)(const void *context, opencl_text *out_source);

/* The program of that key, compiled from what `writer` writes if it was not there. Lives as long as the device. The log has what the compiler said.
 * Waits for nobody but who compiles or launches that program; a failure is the caller's alone, and the next one compiles again. */
tarn_status opencl_compile(tarn_backend_device *device, const opencl_text *key, opencl_writer writer,
                           const void *context, opencl_compiled **out_compiled);

/* A launch of one kernel: begun, given its arguments in order, enqueued. Between begin and enqueue the program's lock is held. The first
 * failure is what the enqueueing answers. */
typedef struct opencl_launch {
    tarn_backend_device *device;
    tarn_backend_stream *stream;
    opencl_compiled *compiled;
    cl_kernel kernel;
    cl_uint next;
    cl_int error;
    tarn_status status;
} opencl_launch;

opencl_launch opencl_launch_begin(tarn_backend_device *device, tarn_backend_stream *stream, opencl_compiled *compiled,
                                  int kernel);
/* Two arguments: what the address lies in, and how many bytes from its beginning. NOT_SUPPORTED for memory that kernels do not reach. */
void opencl_launch_address(opencl_launch *launch, const void *address);
void opencl_launch_value(opencl_launch *launch, const void *value, size_t size);
void opencl_launch_long(opencl_launch *launch, int64_t value);
/* Local memory, in bytes. */
void opencl_launch_local(opencl_launch *launch, size_t size);
void opencl_launch_buffer(opencl_launch *launch, cl_mem buffer);
/* `groups` work-groups of `size` work-items along the first dimension, `second` times as many groups along the second. */
tarn_status opencl_launch_enqueue(opencl_launch *launch, size_t groups, size_t size, size_t second);

#endif
