/* Feeds arbitrary bytes to the reader of tables of events. */
#include "check_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_reader(trace_read_csv, data, size);
    return 0;
}
