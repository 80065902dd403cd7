/* What the tests of traces share: traces made from bytes, and files that vanish afterwards. */
#ifndef TESTS_TRACE_STAND_H
#define TESTS_TRACE_STAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/log.h>
#include <tarn/trace.h>

/* Reads a trace from memory under the name "input"; it has to succeed. */
tarn_trace *trace_of(const void *data, size_t size);
tarn_trace *trace_of_text(const char *text);
/* The same has to fail with `status`, with a sentence that contains `part`, and leave the result alone. */
void expect_refused(const void *data, size_t size, tarn_status status, const char *part);
void expect_text_refused(const char *text, tarn_status status, const char *part);
tarn_trace_info info_of(const tarn_trace *trace);
void expect_last_error(const char *part);

/* A path in a folder of this test program's own, which remove_folder deletes with all that is in it.
 */
void path_in_folder(const char *name, char out_path[256]);
void write_file(const char *path, const void *data, size_t size);
/* The file's bytes, with a NUL behind them; the caller frees them. */
char *read_file(const char *path, size_t *out_size);
size_t files_in_folder(void);
int remove_folder(void **state);

/* Keeps the last message of the log, "" for none, until the log is set again. */
const char *last_message(void);
void listen_to_log(void);

#endif
