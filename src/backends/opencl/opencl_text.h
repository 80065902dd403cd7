/* Text that grows, for sources and keys. A failure for want of memory is remembered, so that it is asked for once, at the end. */
#ifndef OPENCL_TEXT_H
#define OPENCL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/export.h>

/* All zero: empty. */
typedef struct opencl_text {
    char *bytes; /* ended by 0; NULL while empty */
    size_t length, capacity;
    bool has_failed;
} opencl_text;

void opencl_text_end(opencl_text *text);
void opencl_text_bytes(opencl_text *text, const void *bytes, size_t size);
void opencl_text_print(opencl_text *text, const char *format, ...) TARN_PRINTF(2, 3);

#endif
