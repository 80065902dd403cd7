/* Opening libOpenCL, finding what devices its platforms have, and saying what its error numbers mean.
 *
 * The loader's library finds the vendors' drivers (platforms) by itself. It is never closed: drivers have threads and handlers of their
 * own that outlive every device. Devices are numbered through all platforms, in the loader's order. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_internal.h"

#define LIBRARY "libOpenCL.so.1"
/* Another library, by its path; "off": none. */
#define LIBRARY_VARIABLE "TARN_OPENCL"
#define MOST_PLATFORMS 16

opencl_functions opencl;
const tarn_backend_host *opencl_host;

typedef struct driver_symbol {
    const char *name;
    void *place; /* of the pointer to the function */
} driver_symbol;

#define SYMBOL(name) {#name, &opencl.name},
static const driver_symbol needed_symbols[] = {OPENCL_FUNCTIONS(SYMBOL)};
static const driver_symbol shared_memory_symbols[] = {OPENCL_SHARED_MEMORY_FUNCTIONS(SYMBOL)};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The name of the first symbol that the library lacks; NULL: it has all of them. */
static const char *find_symbols(void *library, const driver_symbol *symbols, size_t count) {
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address == NULL) return symbols[i].name;
        memcpy(symbols[i].place, &address, sizeof address);
    }
    return NULL;
}

static tarn_status open_library(void) {
    const char *path = secure_getenv(LIBRARY_VARIABLE);
    if (path == NULL || *path == '\0') path = LIBRARY;
    if (strcmp(path, "off") == 0) return opencl_fail(TARN_UNAVAILABLE, LIBRARY_VARIABLE " is off");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        return opencl_fail(TARN_UNAVAILABLE, "no OpenCL: %s", why != NULL ? why : path);
    }
    const char *missing = find_symbols(library, needed_symbols, LENGTH(needed_symbols));
    if (missing != NULL) {
        dlclose(library);
        return opencl_fail(TARN_UNAVAILABLE, "%s is no OpenCL 1.2: it has no %s", path, missing);
    }
    if (find_symbols(library, shared_memory_symbols, LENGTH(shared_memory_symbols)) != NULL) {
        for (size_t i = 0; i < LENGTH(shared_memory_symbols); i++)
            memset(shared_memory_symbols[i].place, 0, sizeof opencl.clSVMAlloc);
    }
    return TARN_OK;
}

/* Counts the devices, and finds the one with the number `wanted` where there is one. */
static tarn_status visit_devices(int wanted, int *out_count, cl_platform_id *out_platform, cl_device_id *out_device) {
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint platform_count = 0;
    cl_int error = opencl.clGetPlatformIDs(MOST_PLATFORMS, platforms, &platform_count);
    /* The loader of ocl-icd answers with a number that the header has among the extensions when there is no platform. */
    if (error != CL_SUCCESS || platform_count == 0) {
        return opencl_fail(TARN_UNAVAILABLE,
                           "OpenCL has no platform (%s): no driver is installed, or none of those that "
                           "/etc/OpenCL/vendors or OCL_ICD_VENDORS name can be opened",
                           opencl_error_name(error));
    }
    if (platform_count > MOST_PLATFORMS) platform_count = MOST_PLATFORMS;
    int count = 0;
    for (cl_uint i = 0; i < platform_count; i++) {
        cl_uint device_count = 0;
        error = opencl.clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 0, NULL, &device_count);
        if (error == CL_DEVICE_NOT_FOUND || device_count == 0) continue;
        if (error != CL_SUCCESS) return opencl_fail_call(error, "clGetDeviceIDs");
        cl_device_id *devices = calloc(device_count, sizeof *devices);
        if (devices == NULL)
            return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a list of %u devices", device_count);
        error = opencl.clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, device_count, devices, NULL);
        if (error == CL_SUCCESS && wanted >= count && wanted < count + (int)device_count) {
            *out_platform = platforms[i];
            *out_device = devices[wanted - count];
        }
        free(devices);
        if (error != CL_SUCCESS) return opencl_fail_call(error, "clGetDeviceIDs");
        count += (int)device_count;
    }
    if (count == 0) {
        return opencl_fail(TARN_UNAVAILABLE, "OpenCL has %u platform%s and no device", platform_count,
                           platform_count == 1 ? "" : "s");
    }
    *out_count = count;
    return TARN_OK;
}

tarn_status opencl_driver_open(void) {
    tarn_status status = open_library();
    int count = 0;
    return status == TARN_OK ? opencl_driver_count(&count) : status;
}

tarn_status opencl_driver_count(int *out_count) {
    cl_platform_id platform;
    cl_device_id device;
    return visit_devices(-1, out_count, &platform, &device);
}

tarn_status opencl_driver_find(int number, cl_platform_id *out_platform, cl_device_id *out_device) {
    int count = 0;
    cl_platform_id platform = NULL;
    cl_device_id device = NULL;
    tarn_status status = visit_devices(number, &count, &platform, &device);
    if (status != TARN_OK) return status;
    if (number >= count) {
        return opencl_fail(TARN_NOT_FOUND, "there is no OpenCL device %d: there are %d, numbered from 0", number,
                           count);
    }
    *out_platform = platform;
    *out_device = device;
    return TARN_OK;
}

typedef struct error_meaning {
    cl_int error;
    const char *name;
    tarn_status status;
} error_meaning;

/* What is not listed is a fault of this backend or of the driver. */
#define MEANING(name, status) \
    { name, #name, status }
static const error_meaning meanings[] = {
    MEANING(CL_SUCCESS, TARN_OK),
    MEANING(CL_DEVICE_NOT_FOUND, TARN_NOT_FOUND),
    MEANING(CL_DEVICE_NOT_AVAILABLE, TARN_DEVICE_LOST),
    MEANING(CL_COMPILER_NOT_AVAILABLE, TARN_NOT_SUPPORTED),
    MEANING(CL_MEM_OBJECT_ALLOCATION_FAILURE, TARN_OUT_OF_MEMORY),
    MEANING(CL_OUT_OF_RESOURCES, TARN_OUT_OF_MEMORY),
    MEANING(CL_OUT_OF_HOST_MEMORY, TARN_OUT_OF_MEMORY),
    MEANING(CL_INVALID_BUFFER_SIZE, TARN_OUT_OF_MEMORY),
    MEANING(CL_BUILD_PROGRAM_FAILURE, TARN_INTERNAL),
    MEANING(CL_PROFILING_INFO_NOT_AVAILABLE, TARN_NOT_SUPPORTED),
    MEANING(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, TARN_INTERNAL),
    MEANING(CL_INVALID_VALUE, TARN_INTERNAL),
    MEANING(CL_INVALID_CONTEXT, TARN_INTERNAL),
    MEANING(CL_INVALID_COMMAND_QUEUE, TARN_INTERNAL),
    MEANING(CL_INVALID_MEM_OBJECT, TARN_INTERNAL),
    MEANING(CL_INVALID_BINARY, TARN_INTERNAL),
    MEANING(CL_INVALID_KERNEL_ARGS, TARN_INTERNAL),
    MEANING(CL_INVALID_WORK_GROUP_SIZE, TARN_INTERNAL),
    MEANING(CL_INVALID_EVENT, TARN_INTERNAL),
    MEANING(CL_INVALID_OPERATION, TARN_INTERNAL),
};

static const error_meaning *find_meaning(cl_int error) {
    for (size_t i = 0; i < LENGTH(meanings); i++) {
        if (meanings[i].error == error) return &meanings[i];
    }
    return NULL;
}

const char *opencl_error_name(cl_int error) {
    const error_meaning *meaning = find_meaning(error);
    return meaning != NULL ? meaning->name : "another error";
}

tarn_status opencl_error_status(cl_int error) {
    const error_meaning *meaning = find_meaning(error);
    return meaning != NULL ? meaning->status : TARN_INTERNAL;
}

tarn_status opencl_fail_call(cl_int error, const char *call) {
    return opencl_fail(opencl_error_status(error), "%s answers %d (%s)", call, (int)error, opencl_error_name(error));
}

tarn_status opencl_driver_text(cl_device_id device, cl_device_info what, char **out_text) {
    size_t size = 0;
    cl_int error = opencl.clGetDeviceInfo(device, what, 0, NULL, &size);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clGetDeviceInfo");
    char *text = calloc(1, size + 1);
    if (text == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for what a device says of itself");
    error = opencl.clGetDeviceInfo(device, what, size, text, NULL);
    if (error != CL_SUCCESS) {
        free(text);
        return opencl_fail_call(error, "clGetDeviceInfo");
    }
    *out_text = text;
    return TARN_OK;
}
