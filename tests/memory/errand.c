/* Errands; see errand.h. */
#include "errand.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake.h"

void *errand_take(void *context) {
    test_errand *errand = context;
    errand->status = tarn_allocator_allocate(errand->allocator, errand->size, errand->stream, &errand->buffer);
    return NULL;
}

void *errand_take_and_give(void *context) {
    test_errand *errand = context;
    errand_take(errand);
    if (errand->status == TARN_OK)
        errand->status = tarn_allocator_free(errand->allocator, errand->buffer, errand->stream);
    return NULL;
}

void *errand_stats(void *context) {
    test_errand *errand = context;
    errand->stats.struct_size = sizeof errand->stats;
    errand->status = tarn_allocator_stats(errand->allocator, &errand->stats);
    return NULL;
}

void *errand_empty_cache(void *context) {
    test_errand *errand = context;
    errand->status = tarn_allocator_empty_cache(errand->allocator);
    return NULL;
}

void *errand_check(void *context) {
    test_errand *errand = context;
    errand->status = tarn_allocator_check(errand->allocator);
    return NULL;
}

void *errand_release(void *context) {
    test_errand *errand = context;
    errand->status = tarn_allocator_release(errand->allocator);
    return NULL;
}

void errand_begin(void *context) {
    test_errand *errand = context;
    errand->is_begun = pthread_create(&errand->thread, NULL, errand->run, errand) == 0;
    while (fake_calls() < errand->calls) sched_yield();
}

void errand_begin_and_join(void *context) {
    test_errand *errand = context;
    errand_begin(errand);
    if (errand->is_begun) pthread_join(errand->thread, NULL);
}

void errand_finish(test_errand *errand) {
    assert_true(errand->is_begun);
    assert_int_equal(pthread_join(errand->thread, NULL), 0);
}
