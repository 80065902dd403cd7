/* Filling memory with a pattern. */
#ifndef BASE_FILL_H
#define BASE_FILL_H

#include <stddef.h>

/* Writes `pattern`, of `pattern_size` bytes, `size / pattern_size` times. */
void base_fill(void *destination, const void *pattern, size_t pattern_size, size_t size);

#endif
