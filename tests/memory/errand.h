/* What another thread does with an allocator while a call of the driver is under way. */
#ifndef ERRAND_H
#define ERRAND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <tarn/tarn.h>

typedef struct test_errand {
    void *(*run)(void *context); /* one of those below */
    tarn_allocator *allocator;
    tarn_stream *stream;
    size_t size;
    tarn_buffer *buffer; /* what it got */
    tarn_status status;
    tarn_memory_stats stats;
    unsigned long calls; /* errand_begin returns when the fake driver has counted so many */
    bool is_begun;
    pthread_t thread;
} test_errand;

void *errand_take(void *context);
void *errand_take_and_give(void *context);
void *errand_stats(void *context);
void *errand_empty_cache(void *context);
void *errand_check(void *context);
void *errand_release(void *context);

/* `context` is the errand, so that the fake driver can begin it in the middle of a call. */
void errand_begin(void *context);
void errand_begin_and_join(void *context);
/* Joins one that has begun; fails the test where it has not. */
void errand_finish(test_errand *errand);

#endif
