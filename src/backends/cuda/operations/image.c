/* Loading modules. */
#include "backends/cuda/operations/image.h"

#include <string.h>

#include "base/memory.h"

/* One that there is. */
static const cuda_source *find_source(const char *name) {
    size_t i = 0;
    while (strcmp(cuda_sources[i].name, name) != 0) i++;
    return &cuda_sources[i];
}

tarn_status cuda_image_compile(tarn_backend_device *device, const char *name, const char *text,
                               driver_module *out_module) {
    if (!cuda_compiler_is_there()) {
        return cuda_fail(TARN_NOT_SUPPORTED, "%s has to be compiled, and NVRTC is not there", name);
    }
    char key[CUDA_CACHE_KEY], architecture[64];
    cuda_binary binary = {.size = 0};
    cuda_compiler_architecture(device, architecture, sizeof architecture);
    cuda_cache_key(device, text, architecture, key);
    /* What is on disk may be unreadable for reasons that its sum does not show: then it is compiled once more. */
    if (cuda_cache_read(key, &binary)) {
        driver_result result = cuda_driver.cuModuleLoadData(out_module, binary.bytes);
        base_free(binary.bytes);
        if (result == DRIVER_SUCCESS) return TARN_OK;
    }
    tarn_status status = cuda_compiler_run(name, text, architecture, &binary);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuModuleLoadData, out_module, binary.bytes);
    if (status == TARN_OK) cuda_cache_write(key, &binary);
    base_free(binary.bytes);
    return status;
}

tarn_status cuda_image_load(tarn_backend_device *device, const char *name, driver_module *out_module) {
    const cuda_source *source = find_source(name);
    if (source->image != NULL) {
        driver_result result = cuda_driver.cuModuleLoadData(out_module, source->image);
        /* For another device, or for a later driver, which says so in several ways: NVRTC goes with the driver that there is. */
        bool is_for_others = cuda_status_of(result) == TARN_NOT_SUPPORTED;
        if (!is_for_others || !cuda_compiler_is_there()) return cuda_answer(result, "cuModuleLoadData");
    }
    return cuda_image_compile(device, name, source->text, out_module);
}
