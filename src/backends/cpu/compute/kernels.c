/* The choice of a level, once, from what the processor says of itself and TARN_CPU_ISA. */
#include "backends/cpu/compute/kernels.h"

#include <stdatomic.h>
#include <string.h>

#include "base/config.h"

static _Atomic(const cpu_kernels *) chosen; /* release and acquire are not needed: it points to constants */

#if defined(__x86_64__)
static const cpu_kernels *const levels[] = {&cpu_kernels_portable, &cpu_kernels_sse2, &cpu_kernels_avx2,
                                            &cpu_kernels_avx512};

/* What cmake/kernels.cmake compiles the levels for. */
size_t cpu_kernels_level_count(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
        return 3;
    }
    return 4;
}
#else
static const cpu_kernels *const levels[] = {&cpu_kernels_portable};

size_t cpu_kernels_level_count(void) { return 1; }
#endif

const cpu_kernels *cpu_kernels_level(size_t i) { return levels[i]; }

static const cpu_kernels *choose(void) {
    const char *name = base_config_text("TARN_CPU_ISA");
    size_t count = cpu_kernels_level_count();
    if (name == NULL) return levels[count - 1];
    for (size_t i = 0; i < count; i++) {
        if (strcmp(levels[i]->name, name) == 0) return levels[i];
    }
    base_config_complain("TARN_CPU_ISA", name,
                         "it is portable, sse2, avx2 or avx512, as far as the processor has them");
    return levels[count - 1];
}

const cpu_kernels *cpu_kernels_get(void) {
    const cpu_kernels *kernels = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (kernels == NULL) {
        kernels = choose();
        atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    }
    return kernels;
}

void cpu_kernels_use(const cpu_kernels *kernels) { atomic_store_explicit(&chosen, kernels, memory_order_relaxed); }
