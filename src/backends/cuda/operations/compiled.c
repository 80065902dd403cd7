/* Kernels that were compiled for the steps of programs, by their forms.
 *
 * Compiling takes a tenth of a second or so, once in the life of the disk's cache, and gives what the interpreter does, bit for bit, several
 * times as fast. So small programs are interpreted: those whose kernel ends before the host has enqueued the next. TARN_CUDA_COMPILE=always
 * and =never say otherwise. A program that cannot be compiled is warned of once and interpreted. */
#include <string.h>

#include "backends/cuda/operations/generate.h"
#include "backends/cuda/operations/image.h"
#include "base/config.h"
#include "base/memory.h"

/* Elements from which on a program is worth compiling. */
#define WORTH_COMPILING (INT64_C(1) << 16)

struct cuda_compiled {
    struct cuda_compiled *next;
    cuda_form form;
    driver_module module; /* NULL: it could not be compiled */
    driver_function function;
};

static bool is_worth_compiling(const cuda_space *space) {
    const char *wanted = base_config_text("TARN_CUDA_COMPILE");
    if (wanted != NULL && strcmp(wanted, "always") == 0) return true;
    if (wanted != NULL && strcmp(wanted, "never") == 0) return false;
    if (wanted != NULL) base_config_complain("TARN_CUDA_COMPILE", wanted, "neither \"always\" nor \"never\"");
    return space->kept >= WORTH_COMPILING || space->reduced >= WORTH_COMPILING ||
           space->kept * space->reduced >= WORTH_COMPILING;
}

static tarn_status compile(tarn_backend_device *device, struct cuda_compiled *made) {
    char *source = cuda_form_write(&made->form);
    if (source == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a program's source");
    driver_module module = NULL;
    tarn_status status = cuda_image_compile(device, "a program", source, &module);
    base_free(source);
    if (status == TARN_OK) status = CUDA_CALL(cuModuleGetFunction, &made->function, module, "tarn_generated");
    if (status == TARN_OK) made->module = module;
    else if (module != NULL) CUDA_DISCARD(cuModuleUnload, module);
    return status;
}

/* Compiles a form that is new. NULL: no memory. The lock is held. */
static struct cuda_compiled *add_form(tarn_backend_device *device, const cuda_form *form) {
    struct cuda_compiled *made = base_allocate(1, sizeof *made);
    if (made == NULL) return NULL;
    made->form = *form;
    tarn_status status = compile(device, made);
    /* Later there may be memory. */
    if (status == TARN_OUT_OF_MEMORY) {
        base_free(made);
        return NULL;
    }
    if (status != TARN_OK) {
        cuda_host->log(TARN_LOG_WARNING, "cuda: a program of %u steps is interpreted: %s", (unsigned)form->step_count,
                       tarn_last_error());
    }
    made->next = device->operations->compiled;
    device->operations->compiled = made;
    return made;
}

bool cuda_compiled_find(const cuda_task *task, const cuda_program *program, bool runs_along_kept,
                        driver_function *out_function) {
    if (!is_worth_compiling(&program->space) || !cuda_compiler_is_there()) return false;
    cuda_operations_state *state = task->device->operations;
    cuda_form form;
    cuda_form_make(program, task->operation->program, runs_along_kept, &form);
    pthread_mutex_lock(&state->compiled_lock);
    struct cuda_compiled *found = state->compiled;
    while (found != NULL && memcmp(&found->form, &form, sizeof form) != 0) found = found->next;
    if (found == NULL) found = add_form(task->device, &form);
    pthread_mutex_unlock(&state->compiled_lock);
    if (found == NULL || found->module == NULL) return false;
    *out_function = found->function;
    return true;
}

void cuda_compiled_end(cuda_operations_state *state) {
    while (state->compiled != NULL) {
        struct cuda_compiled *compiled = state->compiled;
        state->compiled = compiled->next;
        if (compiled->module != NULL) CUDA_DISCARD(cuModuleUnload, compiled->module);
        base_free(compiled);
    }
}
