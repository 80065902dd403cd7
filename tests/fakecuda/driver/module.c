/* Modules: shared objects whose functions stand for kernels. NAME_on_host runs the kernel NAME; NAME_parameters are the sizes of its
 * parameters, ended by 0; NAME_bytes is the size of a global of that name. */
#include "state.h"

#include "graph.h"
#include "kernel.h"
#include "module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fake_module *modules;
static fake_kernel *kernels;

void modules_reset(void) {
    while (kernels != NULL) {
        fake_kernel *next = kernels->next;
        free(kernels->name);
        free(kernels);
        kernels = next;
    }
    while (modules != NULL) {
        fake_module *next = modules->next;
        dlclose(modules->object);
        free(modules);
        modules = next;
    }
}

/* The object that an image names itself, or the one of the settings. */
static CUresult open_image(const void *image, void **object) {
    static const char magic[] = "FAKECUDA-OBJECT:";
    char path[4096];
    if (strncmp(image, magic, sizeof magic - 1) == 0) {
        const char *name = (const char *)image + sizeof magic - 1;
        snprintf(path, sizeof path, "%.*s", (int)strcspn(name, "\n"), name);
    } else {
        snprintf(path, sizeof path, "%s", the_driver.settings.kernels);
    }
    if (path[0] == 0) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return *object != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

static CUresult load(void **out, const void *image, fake_context *in) {
    if (out == NULL || image == NULL) return CUDA_ERROR_INVALID_VALUE;
    void *object;
    CUresult result = open_image(image, &object);
    if (result != CUDA_SUCCESS) return result;
    fake_module *made = obtain(sizeof *made);
    *made = (fake_module){.object = object, .in = in, .next = modules};
    modules = made;
    made->handle = *out = handle_make(HANDLE_MODULE, made);
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *out, const void *image) {
    ENTER(cuModuleLoadData);
    LEAVE(load((void **)out, image, context_current()));
}

CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned int count, CUjit_option *options,
                            void **values) {
    ENTER(cuModuleLoadDataEx);
    if (count > 0 && (options == NULL || values == NULL)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    LEAVE(load((void **)out, image, context_current()));
}

CUresult cuLibraryLoadData(CUlibrary *out, const void *image, CUjit_option *options, void **values, unsigned int count,
                           CUlibraryOption *library_options, void **library_values, unsigned int library_count) {
    ENTER(cuLibraryLoadData);
    if ((count > 0 && (options == NULL || values == NULL)) ||
        (library_count > 0 && (library_options == NULL || library_values == NULL)))
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    LEAVE(load((void **)out, image, NULL));
}

/* Whether work that has not ended is of the module. */
static bool is_used(const fake_module *module) {
    for (const fake_task *at = tasks_first(); at != NULL; at = at->next)
        if (at->operation.kind == OPERATION_KERNEL && at->operation.kernel.function->module == module) return true;
    return false;
}

static CUresult unload(void *handle) {
    const fake_module *module = handle_object(HANDLE_MODULE, handle);
    if (module == NULL) return CUDA_ERROR_INVALID_HANDLE;
    if (is_used(module)) violation("a module is unloaded while its kernels are to run");
    for (fake_kernel *at = kernels; at != NULL; at = at->next) {
        if (at->module != module || at->handle == NULL) continue;
        handle_end(at->handle);
        at->handle = NULL;
    }
    handle_end(handle);
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule handle) {
    ENTER(cuModuleUnload);
    LEAVE(unload(handle));
}

CUresult cuLibraryUnload(CUlibrary handle) {
    ENTER(cuLibraryUnload);
    LEAVE(unload(handle));
}

static void *symbol_of(const fake_module *module, const char *name, const char *suffix) {
    char whole[1024];
    snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return dlsym(module->object, whole);
}

static fake_kernel *make_kernel(fake_module *module, const char *name) {
    void *run = symbol_of(module, name, "_on_host");
    const size_t *sizes = symbol_of(module, name, "_parameters");
    if (run == NULL || sizes == NULL) return NULL;
    fake_kernel *made = obtain(sizeof *made);
    made->module = module;
    made->name = strdup(name);
    memcpy(&made->run, &run, sizeof run);
    made->most_shared = USUAL_DYNAMIC_SHARED;
    for (; sizes[made->count] != 0 && made->count < MOST_PARAMETERS; made->count++) {
        made->sizes[made->count] = sizes[made->count];
        made->offsets[made->count] = (made->bytes + 15) / 16 * 16;
        made->bytes = made->offsets[made->count] + sizes[made->count];
    }
    made->next = kernels;
    kernels = made;
    return made;
}

static CUresult get_function(void **out, void *handle, const char *name) {
    fake_module *module = handle_object(HANDLE_MODULE, handle);
    if (out == NULL || name == NULL) return CUDA_ERROR_INVALID_VALUE;
    if (module == NULL) return CUDA_ERROR_INVALID_HANDLE;
    fake_kernel *kernel = kernels;
    while (kernel != NULL && (kernel->module != module || strcmp(kernel->name, name) != 0)) kernel = kernel->next;
    if (kernel == NULL) kernel = make_kernel(module, name);
    if (kernel == NULL) return CUDA_ERROR_NOT_FOUND;
    if (kernel->handle == NULL) kernel->handle = handle_make(HANDLE_FUNCTION, kernel);
    *out = kernel->handle;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule handle, const char *name) {
    ENTER(cuModuleGetFunction);
    LEAVE(get_function((void **)out, handle, name));
}

CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary handle, const char *name) {
    ENTER(cuLibraryGetKernel);
    LEAVE(get_function((void **)out, handle, name));
}

/* A library's kernel serves every context, and so do its module and function here. */
CUresult cuLibraryGetModule(CUmodule *out, CUlibrary handle) {
    ENTER(cuLibraryGetModule);
    if (out == NULL || handle_object(HANDLE_MODULE, handle) == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *out = (CUmodule)(void *)handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuKernelGetFunction(CUfunction *out, CUkernel handle) {
    ENTER(cuKernelGetFunction);
    if (out == NULL || handle_object(HANDLE_FUNCTION, handle) == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *out = (CUfunction)(void *)handle;
    LEAVE(CUDA_SUCCESS);
}

/* The object's own variable, which a program reaches as managed memory: copies and kernels see the same bytes. */
static CUresult get_global(CUdeviceptr *pointer, size_t *size, void *handle, const char *name) {
    const fake_module *module = handle_object(HANDLE_MODULE, handle);
    if (module == NULL || name == NULL) return CUDA_ERROR_INVALID_VALUE;
    const size_t *bytes = symbol_of(module, name, "_bytes");
    void *variable = symbol_of(module, name, "");
    if (bytes == NULL || variable == NULL) return CUDA_ERROR_NOT_FOUND;
    CUdeviceptr start = (CUdeviceptr)(uintptr_t)variable;
    fake_range *range = range_find(start);
    if (range == NULL) {
        range = range_make(RANGE_GLOBAL, device_at(0), start, *bytes);
        range->readers = range->writers = ~0u;
    }
    if (pointer != NULL) *pointer = start;
    if (size != NULL) *size = *bytes;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *pointer, size_t *size, CUmodule handle, const char *name) {
    ENTER(cuModuleGetGlobal_v2);
    LEAVE(get_global(pointer, size, handle, name));
}

CUresult cuLibraryGetGlobal(CUdeviceptr *pointer, size_t *size, CUlibrary handle, const char *name) {
    ENTER(cuLibraryGetGlobal);
    LEAVE(get_global(pointer, size, handle, name));
}
