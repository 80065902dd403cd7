/* Which buffer is behind a pointer: PyTorch knows addresses alone. The pointers lie on shelves, each with a lock of its own, so that threads
 * seldom meet. */
#include "torch/state.h"

#define SHELVES 16u

typedef struct shelf {
    pthread_mutex_t lock;  /* protects what follows */
    pointer_table buffers; /* tarn_buffer by pointer */
    pointer_table shared;  /* the pointers that other streams use too, by themselves */
} shelf;

#define EMPTY_SHELF \
    { .lock = PTHREAD_MUTEX_INITIALIZER }
#define FOUR_SHELVES EMPTY_SHELF, EMPTY_SHELF, EMPTY_SHELF, EMPTY_SHELF

static shelf shelves[SHELVES] = {FOUR_SHELVES, FOUR_SHELVES, FOUR_SHELVES, FOUR_SHELVES};

/* Locked. Buffers lie at multiples of 64 bytes and more. */
static shelf *shelf_of(const void *pointer) {
    uint64_t mixed = (uint64_t)(uintptr_t)pointer * UINT64_C(0x9E3779B97F4A7C15);
    shelf *found = &shelves[mixed >> 60];
    pthread_mutex_lock(&found->lock);
    return found;
}

bool torch_pointers_add(const void *pointer, tarn_buffer *buffer) {
    shelf *at = shelf_of(pointer);
    bool is_added = pointer_table_insert(&at->buffers, pointer, buffer);
    pthread_mutex_unlock(&at->lock);
    return is_added;
}

tarn_buffer *torch_pointers_find(const void *pointer) {
    shelf *at = shelf_of(pointer);
    tarn_buffer *buffer = pointer_table_find(&at->buffers, pointer);
    pthread_mutex_unlock(&at->lock);
    return buffer;
}

tarn_buffer *torch_pointers_remove(const void *pointer, bool *out_is_shared) {
    shelf *at = shelf_of(pointer);
    tarn_buffer *buffer = pointer_table_remove(&at->buffers, pointer);
    *out_is_shared = pointer_table_remove(&at->shared, pointer) != NULL;
    pthread_mutex_unlock(&at->lock);
    return buffer;
}

bool torch_pointers_is_shared(const void *pointer) {
    shelf *at = shelf_of(pointer);
    bool is_shared = pointer_table_find(&at->shared, pointer) != NULL;
    pthread_mutex_unlock(&at->lock);
    return is_shared;
}

bool torch_pointers_share(const void *pointer) {
    shelf *at = shelf_of(pointer);
    bool is_noted = pointer_table_find(&at->shared, pointer) != NULL ||
                    pointer_table_insert(&at->shared, pointer, (void *)(uintptr_t)pointer);
    pthread_mutex_unlock(&at->lock);
    return is_noted;
}

void torch_pointers_hold(bool is_held) {
    for (size_t i = 0; i < SHELVES; i++) {
        if (is_held) pthread_mutex_lock(&shelves[i].lock);
        else pthread_mutex_unlock(&shelves[i].lock);
    }
}
