/* Filling memory with a pattern: a first block by doubling, which is then copied on. */
#include "base/fill.h"

#include <string.h>

#define BLOCK ((size_t)4096)

void base_fill(void *destination, const void *pattern, size_t pattern_size, size_t size) {
    char *bytes = destination;
    size_t filled = pattern_size;
    memcpy(bytes, pattern, filled);
    while (filled < size) {
        size_t step = filled < BLOCK ? filled : BLOCK;
        if (step > size - filled) step = size - filled;
        memcpy(bytes + filled, bytes, step);
        filled += step;
    }
}
