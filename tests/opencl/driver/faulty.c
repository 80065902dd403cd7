/* A driver that fails on schedule: a library before libOpenCL, which passes calls on, except the one that OPENCL_FAULT names. "clFinish:3" has the
 * third clFinish fail, counted from when the variable was set. A fault of "event" has a command fail after it was enqueued. With "words:0" the device has
 * a long name, and no program can be built, about which the compiler has as much to say. A test may also have each clBuildProgram call a function of its
 * own first, and hold it up there. */
#define CL_TARGET_OPENCL_VERSION 200
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISIBLE __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char fault[64];
static unsigned long calls;
static cl_event failed_event; /* says so whenever it is asked; NULL: none */
static void (*watch)(void);   /* is called by clBuildProgram; NULL: nothing is. Set before there are other threads */

/* Set by the test through dlsym. */
VISIBLE void opencl_fault_set(const char *text);
VISIBLE unsigned long opencl_fault_calls(void);
VISIBLE void opencl_build_watch(void (*function)(void));

void opencl_build_watch(void (*function)(void)) { watch = function; }

void opencl_fault_set(const char *text) {
    pthread_mutex_lock(&lock);
    snprintf(fault, sizeof fault, "%s", text);
    calls = 0;
    failed_event = NULL;
    pthread_mutex_unlock(&lock);
}

unsigned long opencl_fault_calls(void) {
    pthread_mutex_lock(&lock);
    unsigned long answer = calls;
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Must be called with the lock held. */
static int is_meant(const char *name) {
    size_t length = strlen(name);
    return strncmp(fault, name, length) == 0 && fault[length] == ':';
}

static int fails(const char *name) {
    pthread_mutex_lock(&lock);
    int answer = is_meant(name) && ++calls == strtoul(strchr(fault, ':') + 1, NULL, 10);
    pthread_mutex_unlock(&lock);
    return answer;
}

static int has_many_words(void) {
    pthread_mutex_lock(&lock);
    int answer = is_meant("words");
    pthread_mutex_unlock(&lock);
    return answer;
}

/* As a driver answers with a text. */
static cl_int say_much(size_t room, void *text, size_t *size) {
    const size_t length = 5000;
    if (size != NULL) *size = length + 1;
    if (text == NULL) return CL_SUCCESS;
    if (room < length + 1) return CL_INVALID_VALUE;
    memset(text, 'w', length);
    ((char *)text)[length] = '\0';
    return CL_SUCCESS;
}

static void *find(const char *name) { return dlsym(RTLD_NEXT, name); }

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): as many letters as there are parameters. */

/* A function that returns an error, and one that returns something and writes the error behind a pointer. */
#define ANSWERS(name, error, parameters, arguments)             \
    VISIBLE cl_int name parameters {                            \
        __typeof__(&(name)) next;                               \
        void *address = find(#name);                            \
        memcpy(&next, &address, sizeof next);                   \
        return fails(#name) ? (cl_int)(error) : next arguments; \
    }
#define GIVES(type, name, error, parameters, arguments) \
    VISIBLE type name parameters {                      \
        __typeof__(&(name)) next;                       \
        void *address = find(#name);                    \
        memcpy(&next, &address, sizeof next);           \
        if (!fails(#name)) return next arguments;       \
        *e = (error);                                   \
        return NULL;                                    \
    }

ANSWERS(clGetPlatformIDs, CL_OUT_OF_HOST_MEMORY, (cl_uint a, cl_platform_id *b, cl_uint *c), (a, b, c))
ANSWERS(clGetDeviceIDs, CL_DEVICE_NOT_FOUND,
        (cl_platform_id a, cl_device_type b, cl_uint c, cl_device_id *d, cl_uint *f), (a, b, c, d, f))
ANSWERS(clFlush, CL_OUT_OF_RESOURCES, (cl_command_queue a), (a))
ANSWERS(clFinish, CL_OUT_OF_RESOURCES, (cl_command_queue a), (a))
ANSWERS(clEnqueueMarkerWithWaitList, CL_OUT_OF_HOST_MEMORY,
        (cl_command_queue a, cl_uint b, const cl_event *c, cl_event *d), (a, b, c, d))
ANSWERS(clEnqueueBarrierWithWaitList, CL_OUT_OF_HOST_MEMORY,
        (cl_command_queue a, cl_uint b, const cl_event *c, cl_event *d), (a, b, c, d))
ANSWERS(clEnqueueSVMMemcpy, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_bool b, void *c, const void *d, size_t f, cl_uint g, const cl_event *h, cl_event *i),
        (a, b, c, d, f, g, h, i))
ANSWERS(clEnqueueWriteBuffer, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_mem b, cl_bool c, size_t d, size_t f, const void *g, cl_uint h, const cl_event *i,
         cl_event *j),
        (a, b, c, d, f, g, h, i, j))
ANSWERS(clEnqueueReadBuffer, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_mem b, cl_bool c, size_t d, size_t f, void *g, cl_uint h, const cl_event *i,
         cl_event *j),
        (a, b, c, d, f, g, h, i, j))
ANSWERS(clEnqueueWriteBufferRect, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_mem b, cl_bool c, const size_t *d, const size_t *f, const size_t *g, size_t h, size_t i,
         size_t j, size_t k, const void *l, cl_uint m, const cl_event *n, cl_event *o),
        (a, b, c, d, f, g, h, i, j, k, l, m, n, o))
ANSWERS(clEnqueueReadBufferRect, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_mem b, cl_bool c, const size_t *d, const size_t *f, const size_t *g, size_t h, size_t i,
         size_t j, size_t k, void *l, cl_uint m, const cl_event *n, cl_event *o),
        (a, b, c, d, f, g, h, i, j, k, l, m, n, o))
ANSWERS(clEnqueueCopyBufferRect, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_mem b, cl_mem c, const size_t *d, const size_t *f, const size_t *g, size_t h, size_t i,
         size_t j, size_t k, cl_uint l, const cl_event *m, cl_event *n),
        (a, b, c, d, f, g, h, i, j, k, l, m, n))
ANSWERS(clSetKernelArg, CL_OUT_OF_HOST_MEMORY, (cl_kernel a, cl_uint b, size_t c, const void *d), (a, b, c, d))
ANSWERS(clEnqueueNDRangeKernel, CL_OUT_OF_RESOURCES,
        (cl_command_queue a, cl_kernel b, cl_uint c, const size_t *d, const size_t *f, const size_t *g, cl_uint h,
         const cl_event *i, cl_event *j),
        (a, b, c, d, f, g, h, i, j))
GIVES(cl_program, clCreateProgramWithSource, CL_OUT_OF_HOST_MEMORY,
      (cl_context a, cl_uint b, const char **c, const size_t *d, cl_int *e), (a, b, c, d, e))
GIVES(cl_kernel, clCreateKernel, CL_OUT_OF_RESOURCES, (cl_program a, const char *b, cl_int *e), (a, b, e))
GIVES(cl_context, clCreateContext, CL_DEVICE_NOT_AVAILABLE,
      (const cl_context_properties *a, cl_uint b, const cl_device_id *c,
       void(CL_CALLBACK *d)(const char *, const void *, size_t, void *), void *f, cl_int *e),
      (a, b, c, d, f, e))
GIVES(cl_command_queue, clCreateCommandQueue, CL_OUT_OF_RESOURCES,
      (cl_context a, cl_device_id b, cl_command_queue_properties c, cl_int *e), (a, b, c, e))
GIVES(cl_mem, clCreateBuffer, CL_MEM_OBJECT_ALLOCATION_FAILURE,
      (cl_context a, cl_mem_flags b, size_t c, void *d, cl_int *e), (a, b, c, d, e))
GIVES(void *, clEnqueueMapBuffer, CL_MAP_FAILURE,
      (cl_command_queue a, cl_mem b, cl_bool c, cl_map_flags d, size_t f, size_t g, cl_uint h, const cl_event *i,
       cl_event *j, cl_int *e),
      (a, b, c, d, f, g, h, i, j, e))
GIVES(cl_event, clCreateUserEvent, CL_OUT_OF_RESOURCES, (cl_context a, cl_int *e), (a, e))

VISIBLE cl_int clBuildProgram(cl_program a, cl_uint b, const cl_device_id *c, const char *d,
                              void(CL_CALLBACK *f)(cl_program, void *), void *g) {
    __typeof__(&clBuildProgram) next;
    void *address = find("clBuildProgram");
    memcpy(&next, &address, sizeof next);
    if (watch != NULL) watch();
    return fails("clBuildProgram") || has_many_words() ? CL_BUILD_PROGRAM_FAILURE : next(a, b, c, d, f, g);
}

VISIBLE cl_int clGetDeviceInfo(cl_device_id a, cl_device_info b, size_t c, void *d, size_t *f) {
    __typeof__(&clGetDeviceInfo) next;
    void *address = find("clGetDeviceInfo");
    memcpy(&next, &address, sizeof next);
    if (fails("clGetDeviceInfo")) return CL_OUT_OF_RESOURCES;
    return b == CL_DEVICE_NAME && has_many_words() ? say_much(c, d, f) : next(a, b, c, d, f);
}

VISIBLE cl_int clGetProgramBuildInfo(cl_program a, cl_device_id b, cl_program_build_info c, size_t d, void *f,
                                     size_t *g) {
    __typeof__(&clGetProgramBuildInfo) next;
    void *address = find("clGetProgramBuildInfo");
    memcpy(&next, &address, sizeof next);
    return c == CL_PROGRAM_BUILD_LOG && has_many_words() ? say_much(d, f, g) : next(a, b, c, d, f, g);
}

VISIBLE void *clSVMAlloc(cl_context a, cl_svm_mem_flags b, size_t c, cl_uint d) {
    __typeof__(&clSVMAlloc) next;
    void *address = find("clSVMAlloc");
    memcpy(&next, &address, sizeof next);
    return fails("clSVMAlloc") ? NULL : next(a, b, c, d);
}

VISIBLE cl_int clGetEventInfo(cl_event a, cl_event_info b, size_t c, void *d, size_t *f) {
    __typeof__(&clGetEventInfo) next;
    void *address = find("clGetEventInfo");
    memcpy(&next, &address, sizeof next);
    if (fails("clGetEventInfo")) return CL_OUT_OF_RESOURCES;
    cl_int error = next(a, b, c, d, f);
    if (error == CL_SUCCESS && fails("event")) failed_event = a;
    if (error == CL_SUCCESS && failed_event == a) memcpy(d, &(cl_int){CL_OUT_OF_RESOURCES}, sizeof(cl_int));
    return error;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
