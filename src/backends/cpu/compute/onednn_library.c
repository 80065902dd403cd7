/* Opening oneDNN.
 *
 * It computes with OpenMP, whose threads are not the pool's and look for work for milliseconds after they had some. So they are never
 * begun: the pool computes an operation in parts (onednn_run.c), and OpenMP is told before each that there is one thread. */
#include "backends/cpu/compute/onednn_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "backends/cpu/compute/onednn.h"
#include "base/config.h"
#include "base/log.h"

/* The version whose header this is compiled with, as far as its functions are concerned. */
#define LEAST_MINOR_VERSION 6

static onednn_library library; /* constant once it is open */
static bool is_open;           /* likewise */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

static void *find(void *handle, const char *name, const char **inout_missing) {
    void *symbol = dlsym(handle, name);
    if (symbol == NULL && *inout_missing == NULL) *inout_missing = name;
    return symbol;
}

/* Function pointers have one size on every platform that has dlopen, and that of objects. */
static void set_pointer(void *out_pointer, void *symbol) { memcpy(out_pointer, &symbol, sizeof symbol); }

static void say(const char *file, const char *reason) {
    base_log(TARN_LOG_WARNING,
             "cpu: oneDNN is not used: %s: %s; matrix products and convolutions are computed by Tarn's own kernels",
             file, reason);
}

/* The name of the first function that is missing; NULL where none is. */
static const char *find_functions(void *handle) {
    const char *missing = NULL;
#define SYMBOL(name) set_pointer(&library.name, find(handle, #name, &missing));
#include "backends/cpu/compute/onednn_symbols.h"
#undef SYMBOL
    set_pointer(&library.set_threads, find(handle, "omp_set_num_threads", &missing));
    set_pointer(&library.get_threads, find(handle, "omp_get_max_threads", &missing));
    return missing;
}

static void open_library(void) {
    const char *file = base_config_text("TARN_ONEDNN");
    if (file != NULL && strcmp(file, "off") == 0) return;
    if (file == NULL) file = "libdnnl.so.2";
    /* It stays open, whatever comes: its runtime's threads would not survive its end. */
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        say(file, dlerror());
        return;
    }
    const char *missing = find_functions(handle);
    if (missing != NULL) {
        say(file, missing);
        return;
    }
    const dnnl_version_t *version = library.dnnl_version();
    if (version->major != DNNL_VERSION_MAJOR || version->minor < LEAST_MINOR_VERSION) {
        say(file, "it is not version 2.6 or a later one of version 2");
        return;
    }
    /* Primitives are kept by ours. */
    library.dnnl_set_primitive_cache_capacity(0);
    if (library.dnnl_engine_create(&library.engine, dnnl_cpu, 0) != dnnl_success) {
        say(file, "it cannot compute on this processor");
        return;
    }
    is_open = true;
}

const onednn_library *onednn_library_get(void) {
    pthread_once(&opened, open_library);
    return is_open ? &library : NULL;
}

bool cpu_onednn_is_there(void) {
    pthread_once(&opened, open_library);
    return is_open;
}
