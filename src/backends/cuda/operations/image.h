/* Modules of kernels: what is embedded in the library, and what is compiled when it is needed.
 *
 * What NVRTC has compiled is kept on disk, in $TARN_CACHE_PATH or tarn/ in the user's cache folder, by a hash of everything that it was
 * compiled from: sources, options, the compiler's version, and the driver's. */
#ifndef CUDA_OPERATIONS_IMAGE_H
#define CUDA_OPERATIONS_IMAGE_H

#include "backends/cuda/cuda_internal.h"

/* What is embedded: made by cmake/cuda.cmake. */
typedef struct cuda_source {
    const char *name; /* as the others include it */
    const char *text;
    const void *image; /* of a module: its kernels, compiled; NULL: Tarn was built without nvcc */
} cuda_source;

extern const cuda_source cuda_sources[];
extern const size_t cuda_source_count;

/* Loads the kernels of a module of kernels/, "rows.cu" …, for the device. NOT_SUPPORTED: there is neither a compiled form of them nor NVRTC. In
 * the device's scope. */
tarn_status cuda_image_load(tarn_backend_device *device, const char *name, driver_module *out_module);
/* Compiles a source, which may include those above, or takes it from the disk, and loads it. NOT_SUPPORTED: there is no NVRTC. In the
 * device's scope. */
tarn_status cuda_image_compile(tarn_backend_device *device, const char *name, const char *text,
                               driver_module *out_module);

/* compiler.c: NVRTC, opened when it is first needed. */
typedef struct cuda_binary {
    char *bytes; /* from base_allocate */
    size_t size;
} cuda_binary;

/* Whether there is NVRTC. Warns once where there is none and somebody needs it. */
bool cuda_compiler_is_there(void);
/* Its version: 1000 times the major one, and the minor one. */
int cuda_compiler_version(void);
/* The option that names the architecture for a device: its own, or, for one that is younger than NVRTC, the latest that there is. */
void cuda_compiler_architecture(const tarn_backend_device *device, char *out_option, size_t capacity);
/* INTERNAL with what the compiler said; OUT_OF_MEMORY. */
tarn_status cuda_compiler_run(const char *name, const char *text, const char *architecture, cuda_binary *out_binary);

/* cache.c: what was compiled before. The key is the file's name. */
#define CUDA_CACHE_KEY 33 /* bytes, with the zero */
void cuda_cache_key(const tarn_backend_device *device, const char *text, const char *architecture, char *out_key);
/* False where it is not there, or is not what was written. */
bool cuda_cache_read(const char *key, cuda_binary *out_binary);
/* A folder that cannot be written is warned of once, and does no harm. */
void cuda_cache_write(const char *key, const cuda_binary *binary);

#endif
