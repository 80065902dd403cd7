/* What work does when its turn has come. Addresses are looked up now, not when the call was made: memory that went meanwhile is
 * an error, as it is on a device. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "kernel.h"
#include "share.h"

typedef struct fake_piece {
    char *to;
    const char *from;
    size_t size; /* of a row */
    size_t rows; /* of a fill, one mapping under all of them */
    fake_physical *held[2];
} fake_piece;

typedef struct fake_pieces {
    fake_piece *list;
    size_t count;
} fake_pieces;

static fake_piece *add_piece(fake_pieces *pieces) {
    pieces->list = grow(pieces->list, pieces->count, sizeof(fake_piece));
    memset(&pieces->list[pieces->count], 0, sizeof(fake_piece));
    return &pieces->list[pieces->count++];
}

static void drop_pieces(fake_pieces *pieces) {
    for (size_t i = 0; i < pieces->count; i++)
        for (size_t side = 0; side < 2; side++)
            if (pieces->list[i].held[side] != NULL) physical_drop(pieces->list[i].held[side]);
    free(pieces->list);
}

/* One row of bytes, in as many pieces as there are mappings under it. source 0: there is none. */
static bool add_row(fake_pieces *pieces, const fake_context *context, CUdeviceptr to, CUdeviceptr from, size_t size) {
    while (size > 0) {
        fake_piece *piece = add_piece(pieces);
        piece->size = size;
        piece->rows = 1;
        piece->to = range_reach(context, to, &piece->size, true, &piece->held[0]);
        if (piece->to == NULL) return false;
        if (from != 0) {
            piece->from = range_reach(context, from, &piece->size, false, &piece->held[1]);
            if (piece->from == NULL) return false;
            from += piece->size;
        }
        to += piece->size;
        size -= piece->size;
    }
    return true;
}

/* With threads the bytes move outside the lock, so that a race with the program is a race to ThreadSanitizer as well. */
static void unlock(void) {
    if (the_driver.settings.threads) pthread_mutex_unlock(&the_driver.lock);
}
static void lock(void) {
    if (the_driver.settings.threads) pthread_mutex_lock(&the_driver.lock);
}

static CUresult run_copy(fake_operation *operation) {
    fake_pieces pieces = {0};
    bool is_fine = true;
    CUdeviceptr source =
        operation->copy.staged != NULL ? (CUdeviceptr)(uintptr_t)operation->copy.staged : operation->copy.from.address;
    for (size_t plane = 0; plane < operation->copy.planes && is_fine; plane++)
        for (size_t row = 0; row < operation->copy.rows && is_fine; row++)
            is_fine = add_row(
                &pieces, operation->in,
                operation->copy.to.address + plane * operation->copy.to.plane + row * operation->copy.to.pitch,
                source + plane * operation->copy.from.plane + row * operation->copy.from.pitch, operation->copy.width);
    unlock();
    for (size_t i = 0; is_fine && i < pieces.count; i++)
        memmove(pieces.list[i].to, pieces.list[i].from, pieces.list[i].size);
    lock();
    drop_pieces(&pieces);
    return is_fine ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

/* As many rows of `size` bytes as one mapping holds; the number of them, or 0 where the first does not fit or cannot be reached. */
static size_t add_rows(fake_pieces *pieces, const fake_context *context, CUdeviceptr to, size_t size, size_t pitch,
                       size_t rows) {
    fake_piece *piece = add_piece(pieces);
    size_t reached = (rows - 1) * pitch + size;
    piece->to = range_reach(context, to, &reached, true, &piece->held[0]);
    if (piece->to == NULL || reached < size) return 0;
    piece->size = size;
    piece->rows = pitch > 0 ? (reached - size) / pitch + 1 : 1;
    return piece->rows;
}

static CUresult run_fill(fake_operation *operation) {
    fake_pieces pieces = {0};
    bool is_fine = true;
    size_t element = operation->fill.element, size = operation->fill.width * element, pitch = operation->fill.to.pitch;
    for (size_t row = 0, added; row < operation->fill.rows && is_fine; row += added) {
        CUdeviceptr to = operation->fill.to.address + row * pitch;
        added = add_rows(&pieces, operation->in, to, size, pitch, operation->fill.rows - row);
        if (added > 0) continue;
        is_fine = pieces.list[pieces.count - 1].to != NULL && add_row(&pieces, operation->in, to, 0, size);
        added = 1;
    }
    unlock();
    for (size_t i = 0; is_fine && i < pieces.count; i++)
        for (size_t row = 0; row < pieces.list[i].rows; row++)
            for (size_t byte = 0; byte < pieces.list[i].size; byte += element)
                memcpy(pieces.list[i].to + row * pitch + byte, &operation->fill.value, element);
    lock();
    drop_pieces(&pieces);
    return is_fine ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

static CUresult run_host(fake_operation *operation) {
    pthread_mutex_unlock(&the_driver.lock);
    in_host_function = true;
    if (operation->kind == OPERATION_HOST) operation->host.function(operation->host.data);
    else operation->host.callback(operation->host.stream, CUDA_SUCCESS, operation->host.data);
    in_host_function = false;
    pthread_mutex_lock(&the_driver.lock);
    return CUDA_SUCCESS;
}

bool operation_is_host(const fake_operation *operation) {
    return operation->kind == OPERATION_HOST || operation->kind == OPERATION_CALLBACK;
}

bool operation_needs_thread(const fake_operation *operation) {
    return operation_is_host(operation) || operation->kind == OPERATION_AWAIT;
}

CUresult operation_run(fake_task *task) {
    fake_operation *operation = &task->operation;
    switch (operation->kind) {
    case OPERATION_COPY: return run_copy(operation);
    case OPERATION_FILL: return run_fill(operation);
    case OPERATION_HOST:
    case OPERATION_CALLBACK: return run_host(operation);
    case OPERATION_KERNEL: return kernel_run(operation);
    case OPERATION_ALLOCATE: pooled_ready(operation->memory.address); return CUDA_SUCCESS;
    case OPERATION_FREE:
        /* Whoever still has work for the memory did not order it before, or did not mean this memory. */
        if (tasks_use_unordered(operation->memory.address, operation->memory.size, task))
            violation("0x%llx is freed before work that uses it", operation->memory.address);
        pooled_end(operation->memory.address);
        return CUDA_SUCCESS;
    case OPERATION_AWAIT: shared_event_await(operation->shared.event, operation->shared.number); return CUDA_SUCCESS;
    case OPERATION_SIGNAL: shared_event_signal(operation->shared.event, operation->shared.number); return CUDA_SUCCESS;
    case OPERATION_LAST:
    case OPERATION_RECORD:
    case OPERATION_MARK: break;
    }
    return CUDA_SUCCESS;
}

void operation_end(fake_operation *operation) {
    switch (operation->kind) {
    case OPERATION_COPY: free(operation->copy.staged); break;
    case OPERATION_KERNEL: kernel_end(operation); break;
    case OPERATION_AWAIT:
    case OPERATION_SIGNAL: shared_event_drop(operation->shared.event); break;
    case OPERATION_LAST: launch_end(operation->launched); break;
    default: break;
    }
}

static bool overlaps(const fake_place *place, size_t width, size_t rows, size_t planes, CUdeviceptr start,
                     size_t size) {
    size_t span = (planes - 1) * place->plane + (rows - 1) * place->pitch + width;
    return place->address < start + size && start < place->address + span;
}

bool operation_uses(const fake_operation *operation, CUdeviceptr start, size_t size) {
    switch (operation->kind) {
    case OPERATION_COPY:
        return overlaps(&operation->copy.to, operation->copy.width, operation->copy.rows, operation->copy.planes, start,
                        size) ||
               overlaps(&operation->copy.from, operation->copy.width, operation->copy.rows, operation->copy.planes,
                        start, size);
    case OPERATION_FILL:
        return overlaps(&operation->fill.to, operation->fill.width * operation->fill.element, operation->fill.rows, 1,
                        start, size);
    case OPERATION_KERNEL: return kernel_uses(operation, start, size);
    default: return false;
    }
}
