/* What is remembered of the forms of operations: a list of entries, the one that was used last first, of which the one that was not used for
 * longest is forgotten when there are too many. */
#ifndef CUDA_OPERATIONS_RECENT_H
#define CUDA_OPERATIONS_RECENT_H

#include <stddef.h>

/* Entries of a list. */
#define CUDA_RECENT_MOST 256

/* The first member of an entry; the form, which is compared as bytes, lies behind it. */
typedef struct cuda_recent {
    struct cuda_recent *next;
} cuda_recent;

/* The entry with that form, `place` bytes from the entry's begin, which becomes the first. NULL where there is none; then there is room
 * for one more, and the entry that was forgotten for it, if any, is *out_forgotten, for the caller to end. */
cuda_recent *cuda_recent_find(cuda_recent **list, size_t place, const void *form, size_t size,
                              cuda_recent **out_forgotten);
/* Adds an entry as the first, after a search that found none. */
void cuda_recent_add(cuda_recent **list, cuda_recent *entry);
/* Takes the first entry out; NULL where there is none. */
cuda_recent *cuda_recent_take(cuda_recent **list);

#endif
