/* Pools of the fake driver: a list searched from end to end. */
#include "fake_pool.h"

#include <stdlib.h>

typedef struct pooled {
    struct pooled *next;
    uintptr_t address;
    size_t size;
    bool is_freed;
    const tarn_backend_stream *stream; /* of the free */
    uint64_t number;                   /* of the work before it */
} pooled;

struct tarn_backend_pool {
    pooled *list;
    uint64_t unused; /* bytes that nobody has and the device does not have back either */
    tarn_backend_pool_figures figures;
};

tarn_backend_pool *fake_pool_add(void) {
    tarn_backend_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) abort();
    return pool;
}

/* The addresses go back, the bytes stay the pool's. */
static void end_piece(tarn_backend_pool *pool, fake_memory *memory, pooled **link) {
    pooled *piece = *link;
    *link = piece->next;
    fake_memory_free(memory, TARN_MEMORY_DEVICE, piece->address, piece->size);
    memory->in_use += piece->size;
    pool->unused += piece->size;
    pool->figures.used -= piece->size;
    free(piece);
}

static void reap(tarn_backend_pool *pool, fake_memory *memory) {
    for (pooled **link = &pool->list; *link != NULL;) {
        if ((*link)->is_freed && fake_stream_is_done((*link)->stream, (*link)->number)) end_piece(pool, memory, link);
        else link = &(*link)->next;
    }
}

void fake_pool_trim(tarn_backend_pool *pool, fake_memory *memory, uint64_t keep) {
    reap(pool, memory);
    uint64_t given = pool->figures.reserved > keep ? pool->figures.reserved - keep : 0;
    if (given > pool->unused) given = pool->unused;
    pool->unused -= given;
    pool->figures.reserved -= given;
    memory->in_use -= given;
}

void fake_pool_end(tarn_backend_pool *pool, fake_memory *memory, bool is_lost) {
    while (pool->list != NULL) {
        if (!pool->list->is_freed && !is_lost) fake_violation("pool_destroy with memory in use");
        end_piece(pool, memory, &pool->list);
    }
    fake_pool_trim(pool, memory, 0);
    free(pool);
}

static pooled *find(const tarn_backend_pool *pool, uintptr_t address) {
    pooled *piece = pool->list;
    while (piece != NULL && piece->address != address) piece = piece->next;
    return piece;
}

static pooled *find_freed(const tarn_backend_pool *pool, const tarn_backend_stream *stream, size_t size) {
    pooled *piece = pool->list;
    while (piece != NULL && !(piece->is_freed && piece->stream == stream && piece->size == size)) piece = piece->next;
    return piece;
}

static tarn_status take_new(tarn_backend_pool *pool, fake_memory *memory, size_t size, uint64_t capacity,
                            void **out_address) {
    uint64_t own = pool->unused < size ? pool->unused : size;
    memory->in_use -= own;
    tarn_status status =
        fake_memory_allocate(memory, TARN_MEMORY_DEVICE, size, FAKE_ALIGNMENT, FAKE_TRUTH, capacity, out_address);
    if (status != TARN_OK) {
        memory->in_use += own;
        return status;
    }
    pooled *piece = calloc(1, sizeof *piece);
    if (piece == NULL) abort();
    *piece = (pooled){.next = pool->list, .address = (uintptr_t)*out_address, .size = size};
    pool->list = piece;
    pool->unused -= own;
    pool->figures.reserved += size - own;
    pool->figures.used += size;
    if (pool->figures.reserved > pool->figures.reserved_peak) pool->figures.reserved_peak = pool->figures.reserved;
    if (pool->figures.used > pool->figures.used_peak) pool->figures.used_peak = pool->figures.used;
    return TARN_OK;
}

tarn_status fake_pool_allocate(tarn_backend_pool *pool, fake_memory *memory, tarn_backend_stream *stream, size_t size,
                               uint64_t capacity, void **out_address) {
    reap(pool, memory);
    pooled *piece = find_freed(pool, stream, size);
    if (piece == NULL) return take_new(pool, memory, size, capacity, out_address);
    piece->is_freed = false;
    *out_address = (void *)piece->address; // NOLINT(performance-no-int-to-ptr): only a number
    return TARN_OK;
}

tarn_status fake_pool_free(tarn_backend_pool *pool, tarn_backend_stream *stream, uintptr_t address, size_t size) {
    pooled *piece = find(pool, address);
    if (piece == NULL || piece->size != size || piece->is_freed)
        return fake_violation("pool_free of %#zx, %zu bytes, which the pool has not handed out", (size_t)address, size);
    piece->is_freed = true;
    piece->stream = stream;
    piece->number = stream->given;
    return TARN_OK;
}

tarn_backend_pool_figures fake_pool_figures(tarn_backend_pool *pool, fake_memory *memory) {
    reap(pool, memory);
    return pool->figures;
}

void fake_pool_reset_peaks(tarn_backend_pool *pool) {
    pool->figures.reserved_peak = pool->figures.reserved;
    pool->figures.used_peak = pool->figures.used;
}
