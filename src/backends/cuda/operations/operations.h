/* Operations on NVIDIA GPUs: what the rest of the backend calls, and what the files of this folder share.
 *
 * An operation becomes one or a few kernels on the stream. Kernels come from modules that are loaded when a device first needs one of them
 * (kernels/), or are written for one program and compiled when it is first run (generate.h). A stream has a workspace: scratch memory, and a
 * place where kernels leave what failed. */
#ifndef CUDA_OPERATIONS_H
#define CUDA_OPERATIONS_H

#include "backends/cuda/cuda_internal.h"
#include "backends/cuda/kernels/parameters.h"

extern const tarn_backend_operations cuda_operations;

/* What the operations keep of a device; it is made and ended with it. OUT_OF_MEMORY. The end is in the device's scope. */
tarn_status cuda_operations_begin(tarn_backend_device *device);
void cuda_operations_end(tarn_backend_device *device);

/* Before an operation is captured: starts the library that may compute it. That is no work for a capture, in which it could neither wait for the
 * device nor be sure of memory. OUT_OF_MEMORY. In the device's scope. */
tarn_status cuda_operations_prepare(tarn_backend_device *device, const tarn_backend_operation *operation);

/* Workspaces: workspace.c. Those of streams are made when they are needed. A graph has one for all operations that are captured for it, in
 * which each has scratch memory to itself. */
typedef struct cuda_workspace {
    pthread_mutex_t lock; /* held while an operation is enqueued; protects the next three */
    bool is_captured;
    struct cuda_piece *pieces;       /* scratch memory; of a stream the first is in use */
    struct cuda_piece **next_piece;  /* of a graph: where the next operation's is */
    _Atomic(cuda_failure *) failure; /* pinned; NULL until an operation can fail late */
    struct cuda_workspace *next;     /* protected by the lock of the device's operations */
} cuda_workspace;

/* Before the operations of a graph are captured, for the first time or again: `stream` stands for the graph. OUT_OF_MEMORY. */
tarn_status cuda_workspace_capture(tarn_backend_device *device, tarn_backend_stream *stream);
/* The stream is idle, or no launch of the graph is running. In the device's scope. */
void cuda_workspace_end(tarn_backend_device *device, tarn_backend_stream *stream);
/* What failed since the last call, in work that has finished, of one stream or, for NULL, of all. */
tarn_status cuda_workspace_take_failure(tarn_backend_device *device, tarn_backend_stream *stream);
/* After the launch of a graph: what fails in it is reported by `stream`. In the device's scope. */
tarn_status cuda_workspace_forward(tarn_backend_device *device, tarn_backend_stream *captured,
                                   tarn_backend_stream *stream);

/* The stream's workspace. OUT_OF_MEMORY. */
tarn_status cuda_workspace_find(tarn_backend_device *device, tarn_backend_stream *stream,
                                cuda_workspace **out_workspace);
/* Scratch memory for the operation that is being enqueued, aligned to 256 bytes; what runs before on the stream may still use it. The
 * workspace's lock is held. */
tarn_status cuda_workspace_scratch(cuda_workspace *workspace, size_t size, void **out_memory);
/* Where a kernel leaves a failure. The workspace's lock is held. */
tarn_status cuda_workspace_failure(cuda_workspace *workspace, cuda_failure **out_failure);

/* Kernels and the modules that they come in: module.c. */
typedef enum cuda_kernel {
#define CUDA_KERNEL(module, name) name##_kernel,
#include "backends/cuda/kernels/names.h"
    CUDA_KERNEL_COUNT
} cuda_kernel;

typedef enum cuda_module {
#define CUDA_MODULE(module) module##_module,
#include "backends/cuda/kernels/names.h"
    CUDA_MODULE_COUNT
} cuda_module;

struct cuda_operations_state {
    pthread_mutex_t lock;                     /* protects the next three; the driver is called with it held */
    driver_module modules[CUDA_MODULE_COUNT]; /* NULL: not loaded yet */
    driver_function functions[CUDA_KERNEL_COUNT];
    cuda_workspace *workspaces; /* all */

    pthread_mutex_t compiled_lock; /* protects the next four; programs are compiled with it held */
    struct cuda_compiled *compiled;
    struct cuda_recent *blas_choices;
    struct blas_handle_object *blas; /* cuBLASLt's handle; NULL until it is needed, then constant */
    bool is_blas_refused;            /* it does not start on this device */

    pthread_mutex_t dnn_lock; /* protects the next three; cuDNN is called with it held */
    struct cuda_recent *dnn_choices;
    struct dnn_handle_object *dnn; /* cuDNN's handle; NULL until it is needed */
    bool is_dnn_refused;           /* it does not start on this device */
};

/* An operation on its way to the stream. */
typedef struct cuda_task {
    tarn_backend_device *device;
    tarn_backend_stream *stream;
    cuda_workspace *workspace;
    const tarn_backend_operation *operation;
} cuda_task;

typedef struct cuda_grid {
    unsigned x, y, z; /* blocks */
    unsigned threads; /* of a block */
} cuda_grid;

/* Enqueues a kernel. `parameters` points to each of them. */
tarn_status cuda_launch(const cuda_task *task, cuda_kernel kernel, cuda_grid grid, void **parameters);
tarn_status cuda_launch_function(const cuda_task *task, driver_function function, cuda_grid grid, void **parameters);
/* Blocks of 256 threads that share `count` elements: as many as keep the device busy, or fewer. */
cuda_grid cuda_grid_for(const tarn_backend_device *device, int64_t count);

/* Which of the kernels that there are for some types: that of the operand, counted from the one for F32. */
static inline cuda_kernel cuda_kernel_of(cuda_kernel first, tarn_element_type type) {
    return (cuda_kernel)((unsigned)first + (unsigned)type);
}

/* The smallest power of two that is not below `number`; at least 1. */
static inline unsigned cuda_power_above(int64_t number, unsigned most) {
    unsigned power = 1;
    while (power < most && power < number) power *= 2;
    return power;
}

/* compiled.c: the kernel that was compiled for the program's steps, which takes its space, its constants and, with a reduction, the
 * reduction's shape. False where the program is interpreted: there is no compiler, or it is not worth compiling. */
bool cuda_compiled_find(const cuda_task *task, const cuda_program *program, bool runs_along_kept,
                        driver_function *out_function);
void cuda_compiled_end(cuda_operations_state *state);

/* epilogue.c: adds a bias, which has the dimensions of the operation's result (NULL: none), to that result and computes the activation, in
 * place. */
tarn_status cuda_epilogue_enqueue(const cuda_task *task, const tarn_operand *bias, tarn_operation activation);

/* single.c: the kernel for a program of one step, that is there before. False where there is none: the step asks for the index, or there are reductions. */
bool cuda_single_find(const cuda_task *task, const cuda_program *program, cuda_kernel *out_kernel);
tarn_status cuda_single_enqueue(const cuda_task *task, const cuda_program *program, cuda_kernel kernel);

/* One for each sort of operation. They are called in the device's scope with the workspace's lock held. */
tarn_status cuda_program_enqueue(const cuda_task *task);
tarn_status cuda_reduce_enqueue(const cuda_task *task, cuda_program *program);
tarn_status cuda_matmul_enqueue(const cuda_task *task);
tarn_status cuda_conv2d_enqueue(const cuda_task *task);
tarn_status cuda_max_pool2d_enqueue(const cuda_task *task);
tarn_status cuda_softmax_enqueue(const cuda_task *task);
tarn_status cuda_layer_norm_enqueue(const cuda_task *task);
tarn_status cuda_gather_enqueue(const cuda_task *task);

#endif
