/* What a stream needs beside the operands: scratch memory, and a place for failures that show only when kernels run.
 *
 * Scratch memory is used again by the next operation, since a stream's work is done in order; what has become too small is kept to the end,
 * because work may still use it and giving it back would wait for the device. Each piece is twice as large as the one before. In a
 * graph, operations that do not depend on each other run at the same time, so that each has a piece of its own, which the same operation
 * gets again when the graph is made anew: its launches follow each other. */
#include "backends/cuda/operations/blas.h"
#include "backends/cuda/operations/dnn.h"
#include "backends/cuda/operations/operations.h"
#include "base/memory.h"

/* Bytes. */
#define LEAST_SCRATCH ((size_t)1 << 20)

struct cuda_piece {
    driver_pointer memory;
    size_t size;
    struct cuda_piece *next;
};

tarn_status cuda_operations_begin(tarn_backend_device *device) {
    device->operations = base_allocate(1, sizeof *device->operations);
    if (device->operations == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for the device");
    pthread_mutex_init(&device->operations->lock, NULL);
    pthread_mutex_init(&device->operations->compiled_lock, NULL);
    pthread_mutex_init(&device->operations->dnn_lock, NULL);
    return TARN_OK;
}

static void free_workspace(cuda_workspace *workspace) {
    while (workspace->pieces != NULL) {
        struct cuda_piece *piece = workspace->pieces;
        workspace->pieces = piece->next;
        CUDA_DISCARD(cuMemFree, piece->memory);
        base_free(piece);
    }
    if (workspace->failure != NULL) CUDA_DISCARD(cuMemFreeHost, workspace->failure);
    pthread_mutex_destroy(&workspace->lock);
    base_free(workspace);
}

void cuda_workspace_end(tarn_backend_device *device, tarn_backend_stream *stream) {
    cuda_operations_state *state = device->operations;
    cuda_workspace *workspace = stream->workspace;
    if (workspace == NULL) return;
    pthread_mutex_lock(&state->lock);
    cuda_workspace **at = &state->workspaces;
    while (*at != workspace) at = &(*at)->next;
    *at = workspace->next;
    pthread_mutex_unlock(&state->lock);
    free_workspace(workspace);
    stream->workspace = NULL;
}

void cuda_operations_end(tarn_backend_device *device) {
    cuda_operations_state *state = device->operations;
    if (state == NULL) return;
    while (state->workspaces != NULL) {
        cuda_workspace *workspace = state->workspaces;
        state->workspaces = workspace->next;
        free_workspace(workspace);
    }
    cuda_compiled_end(state);
    cuda_blas_end(state);
    cuda_dnn_end(state);
    for (size_t i = 0; i < CUDA_MODULE_COUNT; i++)
        if (state->modules[i] != NULL) CUDA_DISCARD(cuModuleUnload, state->modules[i]);
    pthread_mutex_destroy(&state->dnn_lock);
    pthread_mutex_destroy(&state->compiled_lock);
    pthread_mutex_destroy(&state->lock);
    base_free(state);
    device->operations = NULL;
}

tarn_status cuda_workspace_find(tarn_backend_device *device, tarn_backend_stream *stream,
                                cuda_workspace **out_workspace) {
    cuda_operations_state *state = device->operations;
    pthread_mutex_lock(&state->lock);
    cuda_workspace *workspace = stream->workspace;
    if (workspace == NULL) {
        workspace = base_allocate(1, sizeof *workspace);
        if (workspace != NULL) {
            pthread_mutex_init(&workspace->lock, NULL);
            workspace->next = state->workspaces;
            state->workspaces = workspace;
            stream->workspace = workspace;
        }
    }
    pthread_mutex_unlock(&state->lock);
    if (workspace == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream's operations");
    *out_workspace = workspace;
    return TARN_OK;
}

tarn_status cuda_workspace_capture(tarn_backend_device *device, tarn_backend_stream *stream) {
    cuda_workspace *workspace;
    tarn_status status = cuda_workspace_find(device, stream, &workspace);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&workspace->lock);
    workspace->is_captured = true;
    workspace->next_piece = &workspace->pieces;
    pthread_mutex_unlock(&workspace->lock);
    return TARN_OK;
}

/* Adds a piece at `place`, before what is there. */
static tarn_status add_piece(struct cuda_piece **place, size_t size) {
    struct cuda_piece *piece = base_allocate(1, sizeof *piece);
    if (piece == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for scratch memory");
    tarn_status status = CUDA_CALL(cuMemAlloc, &piece->memory, size);
    if (status != TARN_OK) {
        base_free(piece);
        return status;
    }
    piece->size = size;
    piece->next = *place;
    *place = piece;
    return TARN_OK;
}

tarn_status cuda_workspace_scratch(cuda_workspace *workspace, size_t size, void **out_memory) {
    struct cuda_piece **place = workspace->is_captured ? workspace->next_piece : &workspace->pieces;
    if (*place == NULL || (*place)->size < size) {
        size_t wanted = *place == NULL ? LEAST_SCRATCH : 2 * (*place)->size;
        tarn_status status = add_piece(place, workspace->is_captured || wanted < size ? size : wanted);
        if (status != TARN_OK) return status;
    }
    struct cuda_piece *piece = *place;
    *out_memory = (void *)(uintptr_t)piece->memory;
    if (workspace->is_captured) workspace->next_piece = &piece->next;
    return TARN_OK;
}

tarn_status cuda_workspace_failure(cuda_workspace *workspace, cuda_failure **out_failure) {
    if (workspace->failure == NULL) {
        void *memory = NULL;
        tarn_status status =
            CUDA_CALL(cuMemHostAlloc, &memory, sizeof(cuda_failure), DRIVER_HOST_PORTABLE | DRIVER_HOST_DEVICE_MAP);
        if (status != TARN_OK) return status;
        cuda_failure *failure = memory;
        *failure = (cuda_failure){.is_set = 0};
        workspace->failure = failure;
    }
    *out_failure = workspace->failure;
    return TARN_OK;
}

/* Kernels write it while the host may be looking: `is_set` comes last, and the rest is read after it. */
static tarn_status take_failure(cuda_workspace *workspace) {
    cuda_failure *failure = workspace->failure;
    if (failure == NULL || __atomic_load_n(&failure->is_set, __ATOMIC_ACQUIRE) == 0) return TARN_OK;
    long long number = failure->number, limit = failure->limit;
    __atomic_store_n(&failure->is_set, 0u, __ATOMIC_RELAXED);
    __atomic_store_n(&failure->is_taken, 0u, __ATOMIC_RELEASE);
    return cuda_fail(TARN_INVALID_ARGUMENT, "gather: slice %lld of a dimension of %lld slices", number, limit);
}

tarn_status cuda_workspace_take_failure(tarn_backend_device *device, tarn_backend_stream *stream) {
    cuda_operations_state *state = device->operations;
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&state->lock);
    for (cuda_workspace *at = state->workspaces; at != NULL; at = at->next) {
        /* What failed in a graph is handed on to the stream where it was launched. */
        if (at->is_captured || (stream != NULL && at != stream->workspace)) continue;
        tarn_status taken = take_failure(at);
        if (status == TARN_OK) status = taken;
    }
    pthread_mutex_unlock(&state->lock);
    return status;
}

tarn_status cuda_workspace_forward(tarn_backend_device *device, tarn_backend_stream *captured,
                                   tarn_backend_stream *stream) {
    cuda_task task = {.device = device, .stream = stream};
    cuda_failure *from = captured->workspace != NULL ? captured->workspace->failure : NULL, *to;
    if (from == NULL) return TARN_OK;
    tarn_status status = cuda_workspace_find(device, stream, &task.workspace);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&task.workspace->lock);
    status = cuda_workspace_failure(task.workspace, &to);
    if (status == TARN_OK) {
        status = cuda_launch(&task, tarn_move_failure_kernel, (cuda_grid){1, 1, 1, 1}, (void *[]){&from, &to});
    }
    pthread_mutex_unlock(&task.workspace->lock);
    return status;
}
