/* The driver: libOpenCL, opened at run time, so that the plug-in can be loaded where there is none and say so.
 *
 * This is the only place that knows which functions of OpenCL are used. All are of version 1.2 but those of shared virtual memory,
 * which came with 2.0: a device that lacks it is driven without them. */
#ifndef OPENCL_DRIVER_H
#define OPENCL_DRIVER_H

#define CL_TARGET_OPENCL_VERSION 200
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#define OPENCL_FUNCTIONS(FUNCTION)         \
    FUNCTION(clGetPlatformIDs)             \
    FUNCTION(clGetDeviceIDs)               \
    FUNCTION(clGetDeviceInfo)              \
    FUNCTION(clCreateContext)              \
    FUNCTION(clReleaseContext)             \
    FUNCTION(clCreateCommandQueue)         \
    FUNCTION(clReleaseCommandQueue)        \
    FUNCTION(clFlush)                      \
    FUNCTION(clFinish)                     \
    FUNCTION(clCreateBuffer)               \
    FUNCTION(clRetainMemObject)            \
    FUNCTION(clReleaseMemObject)           \
    FUNCTION(clEnqueueMapBuffer)           \
    FUNCTION(clEnqueueUnmapMemObject)      \
    FUNCTION(clEnqueueReadBuffer)          \
    FUNCTION(clEnqueueWriteBuffer)         \
    FUNCTION(clEnqueueCopyBuffer)          \
    FUNCTION(clEnqueueFillBuffer)          \
    FUNCTION(clEnqueueReadBufferRect)      \
    FUNCTION(clEnqueueWriteBufferRect)     \
    FUNCTION(clEnqueueCopyBufferRect)      \
    FUNCTION(clEnqueueMarkerWithWaitList)  \
    FUNCTION(clEnqueueBarrierWithWaitList) \
    FUNCTION(clCreateUserEvent)            \
    FUNCTION(clSetUserEventStatus)         \
    FUNCTION(clWaitForEvents)              \
    FUNCTION(clGetEventInfo)               \
    FUNCTION(clGetEventProfilingInfo)      \
    FUNCTION(clRetainEvent)                \
    FUNCTION(clReleaseEvent)               \
    FUNCTION(clCreateProgramWithSource)    \
    FUNCTION(clCreateProgramWithBinary)    \
    FUNCTION(clBuildProgram)               \
    FUNCTION(clGetProgramInfo)             \
    FUNCTION(clGetProgramBuildInfo)        \
    FUNCTION(clReleaseProgram)             \
    FUNCTION(clCreateKernel)               \
    FUNCTION(clReleaseKernel)              \
    FUNCTION(clSetKernelArg)               \
    FUNCTION(clEnqueueNDRangeKernel)

#define OPENCL_SHARED_MEMORY_FUNCTIONS(FUNCTION) \
    FUNCTION(clSVMAlloc)                         \
    FUNCTION(clSVMFree)                          \
    FUNCTION(clEnqueueSVMMemcpy)                 \
    FUNCTION(clEnqueueSVMMemFill)                \
    FUNCTION(clSetKernelArgSVMPointer)

typedef struct opencl_functions {
#define OPENCL_MEMBER(name) __typeof__(&(name)) name; /* NOLINT(bugprone-macro-parentheses) */
    OPENCL_FUNCTIONS(OPENCL_MEMBER)
    OPENCL_SHARED_MEMORY_FUNCTIONS(OPENCL_MEMBER)
#undef OPENCL_MEMBER
} opencl_functions;

/* Those of shared virtual memory are NULL, all of them, where the library lacks one. */
extern opencl_functions opencl;

#endif
