/* The CUDA driver that PyTorch has loaded, for what Tarn's own interface does not offer. It is never loaded from here. */
#include <dlfcn.h>
#include <string.h>

#include "torch/state.h"

bool torch_driver_find(const char *name, void *out_function) {
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *symbol = driver != NULL ? dlsym(driver, name) : NULL;
    memcpy(out_function, &symbol, sizeof symbol);
    return symbol != NULL;
}
