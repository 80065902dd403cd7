/* Filling a caller's structure, which may be older and smaller than the library's. */
#include "base/structure.h"

#include <string.h>

#include "base/status.h"

tarn_status base_fill_structure(void *out_structure, const void *full, size_t full_size, const char *what) {
    size_t size;
    memcpy(&size, out_structure, sizeof size);
    if (size <= sizeof size || size > full_size) {
        return base_fail(TARN_INVALID_ARGUMENT, "struct_size of %s is %zu; this library knows %zu bytes", what, size,
                         full_size);
    }
    memcpy((char *)out_structure + sizeof size, (const char *)full + sizeof size, size - sizeof size);
    return TARN_OK;
}
