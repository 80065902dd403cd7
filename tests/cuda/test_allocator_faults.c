/* Allocators on a CUDA device of which every call of the driver fails, one after the other, once: the caller is told or served all the same, the
 * structure is whole, everything can be given back, and nothing is left. */
#include "gpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const specs[] = {"direct",     "cuda_async",
                                    "caching",    "caching:expandable=off",
                                    "predictive", "pytorch:expandable_segments=True",
                                    "graph",      "pool | caching",
                                    "planned",    "guard:quarantine=0 | caching"};

typedef struct script {
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_stream *one, *two;
    tarn_buffer *buffers[6];
    tarn_status fault; /* OK: nothing may fail */
    unsigned failures;
} script;

static void judge(script *self, tarn_status status, const char *step) {
    if (status == TARN_OK) return;
    self->failures++;
    if (self->fault == TARN_OK || (status != self->fault && status != TARN_OUT_OF_MEMORY))
        fail_msg("%s answered %s: \"%s\"", step, tarn_status_name(status), tarn_last_error());
}

static void obtain(script *self, int n, size_t size, tarn_stream *stream) {
    tarn_status status = tarn_allocator_allocate(self->allocator, size, stream, &self->buffers[n]);
    judge(self, status, "allocate");
    assert_int_equal(self->buffers[n] != NULL, status == TARN_OK);
    if (status == TARN_OK)
        judge(self, tarn_stream_fill(stream, tarn_buffer_data(self->buffers[n]), "", 1, 256), "fill");
}

static void part(script *self, int n, tarn_stream *stream) {
    if (self->buffers[n] == NULL) return;
    judge(self, tarn_allocator_free(self->allocator, self->buffers[n], stream), "free");
    assert_false(tarn_buffer_is_valid(self->buffers[n]));
    self->buffers[n] = NULL;
}

/* Growing, reuse by another stream, events, and giving back. */
static unsigned play(script *self, tarn_status fault) {
    self->fault = fault;
    self->failures = 0;
    obtain(self, 0, 3 * MIB, self->one);
    obtain(self, 1, 700, self->one);
    obtain(self, 2, 9 * MIB, self->two);
    if (self->buffers[0] != NULL) judge(self, tarn_buffer_record_stream(self->buffers[0], self->two), "record");
    part(self, 0, self->one);
    part(self, 2, self->two);
    obtain(self, 3, 5 * MIB, self->one);
    obtain(self, 4, 11 * MIB, self->two);
    part(self, 3, self->one);
    part(self, 4, self->one);
    obtain(self, 5, 3 * MIB, self->two);
    judge(self, tarn_allocator_empty_cache(self->allocator), "empty_cache");
    part(self, 1, self->one);
    part(self, 5, self->two);
    judge(self, tarn_allocator_empty_cache(self->allocator), "empty_cache");
    assert_ok(tarn_allocator_check(self->allocator));
    return self->failures;
}

static void sweep(const char *spec, const char *error, tarn_status wanted) {
    const fake_cuda *fake = gpu_fake();
    script self = {.device = gpu_open()};
    assert_ok(tarn_allocator_create(self.device, spec, &self.allocator));
    assert_ok(tarn_stream_create(self.device, &self.one));
    assert_ok(tarn_stream_create(self.device, &self.two));
    assert_int_equal(play(&self, TARN_OK), 0);
    unsigned calls = 0, tried = 0, noticed = 0;
    for (bool was_reached = true; was_reached; calls += gpu_stride(), tried += was_reached) {
        char schedule[96];
        snprintf(schedule, sizeof schedule, "any:%u:%s", calls + 1, error);
        assert_int_equal(fake->fault(schedule), 0);
        noticed += play(&self, wanted) > 0;
        was_reached = fake->faults_done() > 0;
        assert_int_equal(fake->fault(NULL), 0);
        assert_int_equal(play(&self, TARN_OK), 0);
        const char *sentence = NULL;
        if (fake->violations(&sentence) != 0)
            fail_msg("%s, %s: the driver was used wrongly: %s", spec, schedule, sentence);
    }
    if (gpu_stride() == 1) calls = tried;
    print_message("%s: %u of %u calls of the driver failed (%s), %u were noticed by the caller\n", spec, calls, calls,
                  error, noticed);
    assert_true(calls > 10);
    assert_ok(tarn_allocator_release(self.allocator));
    assert_ok(tarn_stream_release(self.one));
    assert_ok(tarn_stream_release(self.two));
    gpu_close(self.device);
}

static void each_call_may_find_no_memory(void **state) { /* faults 26 to 29 */
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
        sweep(specs[i], "CUDA_ERROR_OUT_OF_MEMORY", TARN_OUT_OF_MEMORY);
}

static void each_call_may_fail_without_a_reason(void **state) { /* faults 24 to 28 */
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) sweep(specs[i], "CUDA_ERROR_UNKNOWN", TARN_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_find_no_memory),
        cmocka_unit_test(each_call_may_fail_without_a_reason),
    };
    return cmocka_run_group_tests_name("allocators on a CUDA driver that fails", tests, NULL, NULL);
}
