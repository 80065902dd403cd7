/* Tests on the cpu device, which is open while each of them runs. */
#ifndef ON_CPU_H
#define ON_CPU_H

#include <tarn/tarn.h>

extern tarn_device *cpu;

/* Set-up and tear-down. */
int open_cpu(void **state);
int close_cpu(void **state);

tarn_stream *new_stream(tarn_device *device);
int is_complete(tarn_event *event);

#endif
