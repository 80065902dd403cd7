/* Binaries of kernels on disk. Any thread and process; a failure is never more than a binary that is not there. */
#ifndef OPENCL_CACHE_H
#define OPENCL_CACHE_H

#include <stdint.h>

#include "backends/opencl/opencl_text.h"

typedef struct opencl_cache_entry {
    const char *folder;
    uint64_t hash;
    const opencl_text *identity, *source;
} opencl_cache_entry;

/* Where binaries are kept: tarn/opencl in XDG_CACHE_HOME or ~/.cache. The caller frees it; NULL: nowhere. */
char *opencl_cache_folder(void);
/* Appends the binary; false when there is none, or one of something else. */
bool opencl_cache_read(const opencl_cache_entry *entry, opencl_text *out_binary);
/* False when it could not be written. */
bool opencl_cache_write(const opencl_cache_entry *entry, const void *binary, size_t size);

#endif
