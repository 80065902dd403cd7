/* Feeds arbitrary bytes to the reader of PyTorch snapshots. */
#include "check_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_reader(trace_read_pytorch, data, size);
    return 0;
}
