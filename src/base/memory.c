/* Host memory for Tarn's own structures.
 *
 * A thin door before calloc and realloc. Once a test has asked for a failure, requests are counted; before that, the door
 * costs one load. */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

/* All relaxed: they order nothing but themselves. */
static _Atomic bool counting;
static _Atomic unsigned long requests;
static _Atomic unsigned long failing_request; /* 0: none */
static _Atomic unsigned long failing_too;     /* likewise */
static _Atomic bool failing_for_good;

static bool must_fail(void) {
    if (!atomic_load_explicit(&counting, memory_order_relaxed)) return false;
    unsigned long request = atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed) + 1;
    if (request == atomic_load_explicit(&failing_too, memory_order_relaxed)) return true;
    unsigned long failing = atomic_load_explicit(&failing_request, memory_order_relaxed);
    if (failing == 0 || request < failing) return false;
    return request == failing || atomic_load_explicit(&failing_for_good, memory_order_relaxed);
}

void *base_allocate(size_t count, size_t element_size) {
    size_t size;
    if (must_fail() || !checked_multiply(count, element_size, &size)) return NULL;
    /* An empty array is a block too, so that NULL always means failure. */
    return calloc(size != 0 ? size : 1, 1);
}

void *base_reallocate(void *memory, size_t count, size_t element_size) {
    size_t size;
    if (must_fail() || !checked_multiply(count, element_size, &size)) return NULL;
    return realloc(memory, size != 0 ? size : 1);
}

void base_free(void *memory) { free(memory); }

char *base_duplicate(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = base_allocate(size, 1);
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

void base_memory_fail_at(unsigned long n, int for_good) {
    atomic_store_explicit(&failing_request, 0, memory_order_relaxed);
    atomic_store_explicit(&failing_too, 0, memory_order_relaxed);
    atomic_store_explicit(&requests, 0, memory_order_relaxed);
    atomic_store_explicit(&failing_for_good, for_good != 0, memory_order_relaxed);
    atomic_store_explicit(&failing_request, n, memory_order_relaxed);
    atomic_store_explicit(&counting, true, memory_order_relaxed);
}

void base_memory_fail_too(unsigned long n) { atomic_store_explicit(&failing_too, n, memory_order_relaxed); }

unsigned long base_memory_requests(void) { return atomic_load_explicit(&requests, memory_order_relaxed); }
