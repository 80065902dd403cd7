/* Sizes in bytes, as people write and read them. */
#ifndef TARN_SIZE_H
#define TARN_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/export.h>
#include <tarn/status.h>

TARN_BEGIN_DECLARATIONS

/* Room for any size as tarn_size_format prints it. */
#define TARN_SIZE_TEXT 32

/* Reads "8GiB", "512M", "1.5g", "1048576": a decimal number, then optionally B, or K, M, G, T, P, E with or without "iB" or
 * "B", in any case; all are powers of 1024. INVALID_ARGUMENT for anything else, and for what 64 bits cannot hold. */
TARN_API tarn_status tarn_size_parse(const char *text, uint64_t *out_bytes);

/* Writes "1.2 GiB", "512 B": four significant characters at most before the unit. Returns `out_text`. */
TARN_API char *tarn_size_format(uint64_t bytes, char out_text[TARN_SIZE_TEXT]);

TARN_END_DECLARATIONS

#endif
