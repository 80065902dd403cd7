/* Which function computes which operation, and on which types. */
#include "backends/cpu/compute/compute.h"

#include "backends/cpu/cpu_internal.h"

int cpu_compute_supports(tarn_operation operation, tarn_element_type type) {
    if ((unsigned)type >= TARN_ELEMENT_TYPE_COUNT) return 0;
    switch (operation) {
    case TARN_OPERATION_GATHER: return 1;
    default: return 0;
    }
}

tarn_status cpu_compute_run(const tarn_backend_operation *operation) {
    switch (operation->operation) {
    case TARN_OPERATION_GATHER: return cpu_gather_run(operation);
    default:
        return cpu_fail(TARN_NOT_SUPPORTED, "the cpu device does not compute %s",
                        tarn_operation_name(operation->operation));
    }
}
