/* NVIDIA's libraries beside the driver: opened at run time, when they are first needed, and never linked. What one does is done without
 * it too, so that a library which is not there is told once and is no failure. */
#ifndef CUDA_OPERATIONS_LIBRARY_H
#define CUDA_OPERATIONS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#define CUDA_LIBRARY_FILES 3

typedef struct cuda_library_file {
    const char *name; /* NULL ends a list */
    int driver;       /* the interface that the driver must offer for it, 13000; 0: whichever there is */
} cuda_library_file;

typedef struct cuda_library {
    const char *name;                            /* "cuBLASLt" */
    const char *setting;                         /* the environment variable that names another file, or is "off" */
    const char *instead;                         /* what happens without it */
    cuda_library_file files[CUDA_LIBRARY_FILES]; /* the first one that can be opened and that the driver suffices for */
    const char *const *symbols;                  /* the functions' names */
    size_t symbol_count;
} cuda_library;

/* Opens the library and writes the address of each function, in the order of the names, to `out_functions`, a structure that has nothing but
 * pointers to them. False where it cannot be used, which is logged, unless the setting says so. */
bool cuda_library_open(const cuda_library *library, void *out_functions);
/* Logs why the library is not used. */
void cuda_library_say(const cuda_library *library, const char *reason);

#endif
