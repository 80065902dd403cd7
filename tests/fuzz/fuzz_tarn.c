/* Feeds arbitrary bytes to the reader of Tarn's own traces. */
#include "check_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_reader(trace_read_tarn, data, size);
    return 0;
}
