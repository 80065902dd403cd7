/* Copying between a caller's structure and the library's, of which either may be the older and smaller one. */
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

tarn_status base_read_structure(const char *whose, const void *options, void *out_options, size_t full_size) {
    memset(out_options, 0, full_size);
    memcpy(out_options, &full_size, sizeof full_size);
    if (options == NULL) return TARN_OK;
    const unsigned char *bytes = options;
    size_t size;
    memcpy(&size, options, sizeof size);
    if (size < sizeof size || size > 4096) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: options have struct_size %zu; this version's is %zu", whose, size,
                         full_size);
    }
    /* A newer program's members are fine as long as they ask for nothing. */
    for (size_t i = full_size; i < size; i++) {
        if (bytes[i] == 0) continue;
        return base_fail(TARN_INVALID_ARGUMENT, "%s: options of %zu bytes ask for what this version does not know",
                         whose, size);
    }
    memcpy(out_options, options, size < full_size ? size : full_size);
    return TARN_OK;
}
