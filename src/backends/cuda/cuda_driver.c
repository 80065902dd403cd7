/* Opening the driver's library: libcuda.so.1, found at run time, every function asked for by name and version.
 *
 * A machine without a driver, with one that is too old, or with a library of that name which is something else is no error of Tarn's: the
 * backend is then unavailable, and the sentence says why. What is written by a function of the driver is given a value first, since the
 * toolkit's stub of the library fails without writing. */
#include <dlfcn.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "base/config.h"

cuda_driver_functions cuda_driver;
int cuda_driver_version;

typedef driver_result (*version_function)(int *out_version);
typedef driver_result (*address_function)(const char *name, void **out_function, int version, uint64_t flags,
                                          int *out_found);

/* Where each function goes. Pointers to functions have the size of pointers to data on every platform that has dlsym. */
typedef struct symbol {
    const char *name;
    size_t offset;
} symbol;

static const symbol symbols[] = {
#define CUDA_SYMBOL(name, parameters) {#name, offsetof(cuda_driver_functions, name)},
#include "backends/cuda/driver_symbols.h"
#undef CUDA_SYMBOL
};

_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "pointers to functions are stored as those to data");

/* Looks a symbol up in the library itself. UNAVAILABLE names it. */
static tarn_status find_exported(void *library, const char *name, void *out_function) {
    void *address = dlsym(library, name);
    if (address == NULL) return cuda_fail(TARN_UNAVAILABLE, "the NVIDIA driver's library has no function %s", name);
    memcpy(out_function, &address, sizeof address);
    return TARN_OK;
}

/* The version comes before all else: it says what can be asked of the library at all. */
static tarn_status check_version(void *library, int *out_version) {
    version_function read_version = NULL;
    tarn_status status = find_exported(library, "cuDriverGetVersion", &read_version);
    if (status != TARN_OK) return status;
    int version = 0;
    driver_result result = read_version(&version);
    if (result == DRIVER_ERROR_STUB_LIBRARY) {
        return cuda_fail(TARN_UNAVAILABLE, "the library is the stub that the CUDA toolkit links with, and no driver");
    }
    if (result != DRIVER_SUCCESS || version <= 0) {
        return cuda_fail(TARN_UNAVAILABLE, "the NVIDIA driver does not say its version: cuDriverGetVersion answers %d",
                         (int)result);
    }
    if (version < DRIVER_VERSION) {
        return cuda_fail(TARN_UNAVAILABLE, "the NVIDIA driver is too old: it offers CUDA %d.%d, and %d.%d is the least",
                         version / 1000, version % 1000 / 10, DRIVER_VERSION / 1000, DRIVER_VERSION % 1000 / 10);
    }
    *out_version = version;
    return TARN_OK;
}

static tarn_status find_functions(void *library, int version) {
    address_function find = NULL;
    tarn_status status = find_exported(library, "cuGetProcAddress_v2", &find);
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0] && status == TARN_OK; i++) {
        void *address = NULL;
        int found = DRIVER_SYMBOL_NOT_FOUND;
        driver_result result = find(symbols[i].name, &address, DRIVER_VERSION, 0, &found);
        if (result != DRIVER_SUCCESS || found != DRIVER_SYMBOL_FOUND || address == NULL) {
            status = cuda_fail(TARN_UNAVAILABLE, "the NVIDIA driver (CUDA %d.%d) has no function %s of CUDA %d.%d",
                               version / 1000, version % 1000 / 10, symbols[i].name, DRIVER_VERSION / 1000,
                               DRIVER_VERSION % 1000 / 10);
        } else {
            memcpy((char *)&cuda_driver + symbols[i].offset, &address, sizeof address);
        }
    }
    return status;
}

tarn_status cuda_driver_load(void) {
    const char *path = base_config_text("TARN_CUDA_DRIVER");
    if (path == NULL) path = "libcuda.so.1";
    /* Kept from then on: the driver has threads of its own and cannot be unloaded. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return cuda_fail(TARN_UNAVAILABLE, "the NVIDIA driver cannot be loaded: %s", dlerror());
    int version = 0;
    tarn_status status = check_version(library, &version);
    if (status == TARN_OK) status = find_functions(library, version);
    if (status != TARN_OK) dlclose(library);
    else cuda_driver_version = version;
    return status;
}

tarn_status cuda_driver_begin(void) {
    driver_result result = cuda_driver.cuInit(0);
    int count = 0;
    if (result == DRIVER_SUCCESS) result = cuda_driver.cuDeviceGetCount(&count);
    if (result == DRIVER_ERROR_NO_DEVICE || (result == DRIVER_SUCCESS && count <= 0)) {
        return cuda_fail(TARN_UNAVAILABLE, "there is an NVIDIA driver and no device for it");
    }
    if (result == DRIVER_SUCCESS) return TARN_OK;
    cuda_answer_failure(result, "cuInit");
    return TARN_UNAVAILABLE;
}
