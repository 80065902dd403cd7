/* Matrix products and convolutions by oneDNN, a library that is opened when it is first needed.
 *
 * It takes F32, and BF16 where it has code for this processor; what it refuses, or would compute by its slow reference code, is left to our own
 * kernels. TARN_ONEDNN=off leaves it closed; any other value is the file to open in the place of libdnnl.so.2. Where it cannot be opened that is
 * said once, as a warning. */
#ifndef CPU_COMPUTE_ONEDNN_H
#define CPU_COMPUTE_ONEDNN_H

#include <stdbool.h>

#include <tarn/backend_operations.h>
#include <tarn/status.h>

typedef enum cpu_onednn_choice {
    CPU_ONEDNN_LARGE = 0, /* those that are large enough to be worth it */
    CPU_ONEDNN_NONE,
    CPU_ONEDNN_ALL
} cpu_onednn_choice;

#ifdef TARN_HAS_ONEDNN
/* Computes MATMUL or CONV2D and writes what came of it: OK, OUT_OF_MEMORY or INTERNAL. False where our own kernels have to: nothing has been done
 * then. Any thread. */
bool cpu_onednn_run(const tarn_backend_operation *operation, tarn_status *out_status);
/* Frees all primitives that are not in use. The library stays open. */
void cpu_onednn_trim(void);
/* For tests: whether oneDNN is there, opening it if it has not been. */
bool cpu_onednn_is_there(void);
/* For tests: which operations it is given from now on. */
void cpu_onednn_use(cpu_onednn_choice chosen);
/* For tests: how many operations it has computed. */
unsigned long cpu_onednn_count(void);
#else
static inline bool cpu_onednn_run(const tarn_backend_operation *operation, tarn_status *out_status) {
    (void)operation;
    (void)out_status;
    return false;
}
static inline void cpu_onednn_trim(void) {}
static inline bool cpu_onednn_is_there(void) { return false; }
static inline void cpu_onednn_use(cpu_onednn_choice chosen) { (void)chosen; }
static inline unsigned long cpu_onednn_count(void) { return 0; }
#endif

#endif
