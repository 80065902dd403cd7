/* Opening cuBLASLt. */
#include "backends/cuda/operations/blas_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "base/config.h"

static blas_library library; /* constant once it is open */
static bool is_open;         /* likewise */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

static const char *const files[] = {"libcublasLt.so.13", "libcublasLt.so.12"};

/* The name of the first function that is missing; NULL where none is. */
static const char *find_functions(void *handle) {
    const char *missing = NULL;
    void *symbol;
#define SYMBOL(name, parameters)                            \
    symbol = dlsym(handle, #name);                          \
    if (symbol == NULL && missing == NULL) missing = #name; \
    memcpy(&library.name, &symbol, sizeof symbol);
    BLAS_SYMBOLS(SYMBOL)
#undef SYMBOL
    return missing;
}

static void say(const char *reason) {
    cuda_host->log(TARN_LOG_WARNING,
                   "cuda: cuBLASLt is not used: %s; matrix products are computed by Tarn's own kernels", reason);
}

static void open_library(void) {
    const char *wanted = base_config_text("TARN_CUBLASLT");
    if (wanted != NULL && strcmp(wanted, "off") == 0) return;
    void *handle = NULL;
    if (wanted != NULL) handle = dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; wanted == NULL && handle == NULL && i < sizeof files / sizeof files[0]; i++)
        handle = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        say(dlerror());
        return;
    }
    const char *missing = find_functions(handle);
    is_open = missing == NULL;
    if (is_open) return;
    say(missing);
    dlclose(handle);
}

const blas_library *blas_library_find(void) {
    pthread_once(&opened, open_library);
    return is_open ? &library : NULL;
}
