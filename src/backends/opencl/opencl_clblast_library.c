/* Opening CLBlast. It calls OpenCL by itself, so it serves only a driver that is the one it is linked with. */
#include "backends/opencl/opencl_clblast_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libclblast.so.1"
/* Another library, by its path; "off": none. */
#define LIBRARY_VARIABLE "TARN_CLBLAST"

static clblast_library library;
static char reason[256]; /* why it is not open; "" when it is */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

/* The name of the first function that is missing; NULL where none is. */
static const char *find_functions(void *handle) {
    const char *missing = NULL;
    void *symbol;
#define FIND(name, parameters)                              \
    symbol = dlsym(handle, #name);                          \
    if (symbol == NULL && missing == NULL) missing = #name; \
    memcpy(&library.name, &symbol, sizeof symbol);
    CLBLAST_FUNCTIONS(FIND)
#undef FIND
    return missing;
}

static void open_library(void) {
    const char *path = secure_getenv(LIBRARY_VARIABLE);
    if (path == NULL || *path == '\0') path = LIBRARY;
    if (strcmp(path, "off") == 0) {
        snprintf(reason, sizeof reason, "%s is off", LIBRARY_VARIABLE);
        return;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        snprintf(reason, sizeof reason, "%s", why != NULL ? why : path);
        return;
    }
    const char *missing = find_functions(handle);
    /* Looked for in what it is linked with. */
    void *theirs = dlsym(handle, "clGetPlatformIDs"), *ours;
    memcpy(&ours, &opencl.clGetPlatformIDs, sizeof ours);
    if (missing != NULL) snprintf(reason, sizeof reason, "%s is no CLBlast: it has no %s", path, missing);
    else if (theirs != ours) snprintf(reason, sizeof reason, "%s is linked with another OpenCL", path);
    if (reason[0] != '\0') dlclose(handle);
}

const clblast_library *clblast_library_find(const char **out_reason) {
    pthread_once(&opened, open_library);
    *out_reason = reason;
    return reason[0] == '\0' ? &library : NULL;
}
