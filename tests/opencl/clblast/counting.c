/* In the place of CLBlast: notes what it is called with, and answers what the test says, without computing anything. */
#include "backends/opencl/opencl_clblast_library.h"

#define VISIBLE __attribute__((visibility("default")))

/* The last call, read by the test through dlsym. */
VISIBLE extern size_t clblast_calls, clblast_sizes[3], clblast_leading[3], clblast_count;
VISIBLE extern unsigned clblast_transposed[2];
/* What the next calls answer; set by the test. */
VISIBLE extern int clblast_answer;

size_t clblast_calls, clblast_sizes[3], clblast_leading[3], clblast_count;
unsigned clblast_transposed[2];
int clblast_answer;

#define NOTE(number)                                  \
    clblast_calls++;                                  \
    clblast_sizes[0] = m;                             \
    clblast_sizes[1] = n;                             \
    clblast_sizes[2] = k;                             \
    clblast_leading[0] = a_leading;                   \
    clblast_leading[1] = b_leading;                   \
    clblast_leading[2] = c_leading;                   \
    clblast_transposed[0] = a_transpose;              \
    clblast_transposed[1] = b_transpose;              \
    clblast_count = (number);                         \
    (void)layout, (void)alpha, (void)beta;            \
    (void)a, (void)a_offset, (void)b, (void)b_offset; \
    (void)c, (void)c_offset;                          \
    if (clblast_answer != 0) return clblast_answer;   \
    return clEnqueueMarkerWithWaitList(*queue, 0, NULL, out_event);

VISIBLE int CLBlastSgemm CLBLAST_PARAMETERS(float);
VISIBLE int CLBlastDgemm CLBLAST_PARAMETERS(double);
VISIBLE int CLBlastSgemmStridedBatched CLBLAST_BATCH_PARAMETERS(float);
VISIBLE int CLBlastDgemmStridedBatched CLBLAST_BATCH_PARAMETERS(double);
VISIBLE int CLBlastClearCache(void);

int CLBlastSgemm CLBLAST_PARAMETERS(float) { NOTE(1) }
int CLBlastDgemm CLBLAST_PARAMETERS(double) { NOTE(1) }
int CLBlastSgemmStridedBatched CLBLAST_BATCH_PARAMETERS(float) {
    (void)a_stride, (void)b_stride, (void)c_stride;
    NOTE(count)
}
int CLBlastDgemmStridedBatched CLBLAST_BATCH_PARAMETERS(double) {
    (void)a_stride, (void)b_stride, (void)c_stride;
    NOTE(count)
}
int CLBlastClearCache(void) { return 0; }
