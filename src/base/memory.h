/* Host memory for Tarn's own structures: one door, so that a test can make each request fail in turn. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory for `count` elements; NULL when there is none or the product overflows. */
void *base_allocate(size_t count, size_t element_size);
/* Grows or shrinks; keeps the contents, does not zero the rest. NULL leaves the old block as it was. */
void *base_reallocate(void *memory, size_t count, size_t element_size);
void base_free(void *memory);
/* A copy of the text; NULL when there is no memory. */
char *base_duplicate(const char *text);

/* For tests: the n-th request from now on fails, 0 for none; with `for_good` all later ones fail too. Counts from
 * all threads. */
void base_memory_fail_at(unsigned long n, int for_good);
/* For tests: another request that fails, by the same count; 0: none, which the next base_memory_fail_at makes it. */
void base_memory_fail_too(unsigned long n);
/* For tests: requests made since the last base_memory_fail_at. */
unsigned long base_memory_requests(void);

#endif
