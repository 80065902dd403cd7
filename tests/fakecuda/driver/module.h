/* Modules and their kernels. */
#ifndef FAKECUDA_MODULE_H
#define FAKECUDA_MODULE_H

enum { MOST_PARAMETERS = 128, MOST_DYNAMIC_SHARED = 232448, USUAL_DYNAMIC_SHARED = 49152 };

typedef struct fake_module {
    void *handle;
    void *object;     /* of dlopen; it stays open, since pending work may need it */
    fake_context *in; /* NULL: a library's, for every context */
    struct fake_module *next;
} fake_module;

typedef void fake_kernel_function(const unsigned grid[3], const unsigned block[3], unsigned shared, void **parameters);

struct fake_kernel {
    void *handle;
    fake_module *module;
    char *name;
    fake_kernel_function *run;
    size_t count; /* of parameters */
    size_t sizes[MOST_PARAMETERS];
    size_t offsets[MOST_PARAMETERS];
    size_t bytes; /* of all parameters, each where its offset says */
    int most_shared;
    fake_kernel *next;
};

#endif
