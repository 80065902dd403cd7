/* Public structures that begin with their own size, so that later versions can add members at the end. */
#ifndef BASE_STRUCTURE_H
#define BASE_STRUCTURE_H

#include <stddef.h>

#include <tarn/status.h>

/* Copies a filled structure to the caller's, as far as that goes; both begin with their size. INVALID_ARGUMENT for a
 * size that no version of the structure has had. */
tarn_status base_fill_structure(void *out_structure, const void *full, size_t full_size, const char *what);
/* The other way round: copies options as far as they go, with zeros behind. NULL is all zeros. INVALID_ARGUMENT, with a
 * sentence that begins with `whose`, where they ask for what this version does not know. */
tarn_status base_read_structure(const char *whose, const void *options, void *out_options, size_t full_size);

#endif
