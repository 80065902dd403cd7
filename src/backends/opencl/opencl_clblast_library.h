/* CLBlast, a library of matrix products for OpenCL: opened when it is first needed, called through declarations of our own. */
#ifndef OPENCL_CLBLAST_LIBRARY_H
#define OPENCL_CLBLAST_LIBRARY_H

#include <stddef.h>

#include "backends/opencl/opencl_driver.h"

/* Values of its enumerations that are used; its statuses below -1000 are its own, the others OpenCL's. */
enum {
    CLBLAST_ROW_MAJOR = 101,
    CLBLAST_NOT_TRANSPOSED = 111,
    CLBLAST_TRANSPOSED = 112,
    CLBLAST_NO_MEMORY = -2050, /* for its temporary buffer */
    CLBLAST_NO_F64 = -2044
};

#define CLBLAST_PARAMETERS(TYPE)                                                                                      \
    (unsigned layout, unsigned a_transpose, unsigned b_transpose, size_t m, size_t n, size_t k, TYPE alpha, cl_mem a, \
     size_t a_offset, size_t a_leading, cl_mem b, size_t b_offset, size_t b_leading, TYPE beta, cl_mem c,             \
     size_t c_offset, size_t c_leading, cl_command_queue *queue, cl_event *out_event)

#define CLBLAST_BATCH_PARAMETERS(TYPE)                                                                                 \
    (unsigned layout, unsigned a_transpose, unsigned b_transpose, size_t m, size_t n, size_t k, TYPE alpha, cl_mem a,  \
     size_t a_offset, size_t a_leading, size_t a_stride, cl_mem b, size_t b_offset, size_t b_leading, size_t b_stride, \
     TYPE beta, cl_mem c, size_t c_offset, size_t c_leading, size_t c_stride, size_t count, cl_command_queue *queue,   \
     cl_event *out_event)

#define CLBLAST_FUNCTIONS(FUNCTION)                                        \
    FUNCTION(CLBlastSgemm, CLBLAST_PARAMETERS(float))                      \
    FUNCTION(CLBlastDgemm, CLBLAST_PARAMETERS(double))                     \
    FUNCTION(CLBlastSgemmStridedBatched, CLBLAST_BATCH_PARAMETERS(float))  \
    FUNCTION(CLBlastDgemmStridedBatched, CLBLAST_BATCH_PARAMETERS(double)) \
    FUNCTION(CLBlastClearCache, (void))

typedef struct clblast_library {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define CLBLAST_MEMBER(name, parameters) int(*name) parameters;
    CLBLAST_FUNCTIONS(CLBLAST_MEMBER)
#undef CLBLAST_MEMBER
} clblast_library;

/* NULL where it cannot be used: *out_reason says why. */
const clblast_library *clblast_library_find(const char **out_reason);

#endif
