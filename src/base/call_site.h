/* Call sites: who called, kept as return addresses, and given names when somebody wants to read them.
 *
 * "load_weights+0x4f (program) < main+0x12 (program)": the function that made the call, how far past its start the call
 * returns to, and the file, outermost last. Where a file has no symbol for it, "program+0x1234": the address that
 * addr2line -e program takes. */
#ifndef BASE_CALL_SITE_H
#define BASE_CALL_SITE_H

#include <stddef.h>

/* As many callers as can be kept. */
#define BASE_CALL_FRAMES 16
/* Room for the text of one frame. */
#define BASE_CALL_TEXT 256

/* Keeps the address `caller`, and up to `depth` - 1 of those that called it. Returns how many: 0 for a NULL caller. One alone
 * costs nothing; more are found by unwinding the stack, about a microsecond each. */
unsigned base_call_capture(const void *caller, unsigned depth, const void *out_frames[BASE_CALL_FRAMES]);
/* Writes the names, cut to the capacity; "an unknown place" for no frames. Returns `out_text`. Slow: reads the files' symbol
 * tables, but for the names that were asked for last. Any thread, and the child of a fork. */
char *base_call_describe(const void *const *frames, unsigned count, char *out_text, size_t capacity);

#endif
