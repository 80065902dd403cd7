/* Lists of what was used last. A search goes from the newest entry to the oldest, so that the forms of a loop are found early, and knows by its
 * end how many there are: nothing is counted. */
#include "backends/cuda/operations/recent.h"

#include <string.h>

void cuda_recent_add(cuda_recent **list, cuda_recent *entry) {
    entry->next = *list;
    *list = entry;
}

cuda_recent *cuda_recent_take(cuda_recent **list) {
    cuda_recent *first = *list;
    if (first != NULL) *list = first->next;
    return first;
}

cuda_recent *cuda_recent_find(cuda_recent **list, size_t place, const void *form, size_t size,
                              cuda_recent **out_forgotten) {
    cuda_recent **at = list;
    unsigned passed = 0;
    *out_forgotten = NULL;
    for (; *at != NULL; at = &(*at)->next) {
        if (memcmp((const char *)*at + place, form, size) == 0) {
            cuda_recent *found = cuda_recent_take(at);
            cuda_recent_add(list, found);
            return found;
        }
        if (++passed < CUDA_RECENT_MOST) continue;
        *out_forgotten = cuda_recent_take(at);
        break;
    }
    return NULL;
}
