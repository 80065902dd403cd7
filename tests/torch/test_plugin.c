/* What PyTorch calls without pools: memory by address, device numbers and streams, and what becomes of misuse and of failures. */
#include "torch_test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

static char stream_a, stream_b; /* their addresses are streams to the plug-in */

static void freed_memory_is_used_again(void **state) {
    (void)state;
    void *first = tarn_torch_malloc(1000, 1, NULL);
    assert_non_null(first);
    tarn_torch_free(first, 1000, 1, NULL);
    assert_ptr_equal(tarn_torch_malloc(1000, 1, NULL), first);
    tarn_torch_free(first, 1000, 1, NULL);
    assert_int_equal(stats_of(1).blocks.current, 0);
    tarn_torch_reset();
    assert_int_equal(memory_of(1), 0);
}

static void no_bytes_are_no_memory(void **state) {
    (void)state;
    assert_null(tarn_torch_malloc(0, 1, NULL));
    tarn_torch_free(NULL, 0, 1, NULL);
}

static void each_stream_is_remembered(void **state) {
    (void)state;
    void *pointer = tarn_torch_malloc(1000, 2, &stream_a);
    tarn_stream *stream = tarn_torch_stream(2, &stream_a);
    assert_non_null(stream);
    assert_ptr_equal(tarn_torch_stream(2, &stream_a), stream);
    assert_ptr_not_equal(tarn_torch_stream(2, &stream_b), stream);
    assert_ptr_equal(tarn_torch_stream(2, NULL), tarn_device_default_stream(tarn_stream_device(stream)));
    assert_null(tarn_torch_stream(63, NULL));
    tarn_torch_free(pointer, 1000, 2, &stream_a);
}

static void failures_are_null_and_a_later_call_works(void **state) {
    (void)state;
    void *pointer = NULL;
    assert_null(tarn_torch_malloc(2 * GIB, 1, NULL));
    assert_int_equal(tarn_torch_allocate(2 * GIB, 1, NULL, &pointer), TARN_LIMIT_EXCEEDED);
    assert_null(pointer);
    pointer = tarn_torch_malloc(GIB / 2, 1, NULL);
    assert_non_null(pointer);
    assert_null(tarn_torch_malloc(GIB * 3 / 4, 1, NULL));
    tarn_torch_free(pointer, GIB / 2, 1, NULL);
    pointer = tarn_torch_malloc(GIB * 3 / 4, 1, NULL);
    assert_non_null(pointer);
    tarn_torch_free(pointer, GIB * 3 / 4, 1, NULL);
    tarn_torch_reset();
}

static void a_fraction_of_the_memory_is_a_limit(void **state) {
    (void)state;
    tarn_torch_memory_fraction(0.25, 4);
    assert_null(tarn_torch_malloc(GIB + MIB, 4, NULL));
    void *pointer = tarn_torch_malloc(GIB - MIB, 4, NULL);
    assert_non_null(pointer);
    tarn_torch_free(pointer, GIB - MIB, 4, NULL);
    tarn_torch_memory_fraction(0, 4);
    tarn_torch_memory_fraction(1.5, 4);
    tarn_torch_memory_fraction(0.0 / 0.0, 4);
    assert_null(tarn_torch_malloc(GIB + MIB, 4, NULL));
    tarn_torch_memory_fraction(1, 4);
    pointer = tarn_torch_malloc(GIB + MIB, 4, NULL);
    assert_non_null(pointer);
    tarn_torch_free(pointer, GIB + MIB, 4, NULL);
}

static void foreign_addresses_are_not_freed(void **state) {
    (void)state;
    void *pointer = tarn_torch_malloc(1000, 3, NULL);
    tarn_torch_free(&stream_a, 1, 3, NULL);
    tarn_torch_free((char *)pointer + 8, 1, 3, NULL);
    assert_int_equal(stats_of(3).blocks.current, 1);
    tarn_torch_free(pointer, 1000, 3, NULL);
    tarn_torch_free(pointer, 1000, 3, NULL);
    assert_int_equal(stats_of(3).blocks.current, 0);
    tarn_torch_record_stream(pointer, &stream_a);
    tarn_torch_record_stream(NULL, &stream_a);
}

static void a_free_goes_to_the_owner_whatever_number_it_names(void **state) {
    (void)state;
    void *pointer = tarn_torch_malloc(1000, 3, NULL);
    tarn_torch_free(pointer, 1000, 61, NULL);
    assert_int_equal(stats_of(3).blocks.current, 0);
}

static void numbers_without_a_device_have_no_memory(void **state) {
    (void)state;
    assert_null(tarn_torch_malloc(1, -1, NULL));
    assert_null(tarn_torch_malloc(1, 64, NULL));
    assert_null(tarn_torch_malloc(1, 0, NULL)); /* sim:0GiB */
    assert_null(tarn_torch_allocator(64));
    tarn_torch_memory_fraction(0.5, 64);
    tarn_torch_init(2);
    tarn_torch_init(1000);
    setenv("TARN_TORCH_DEVICE", "sim:1GiB", 1);
    assert_null(tarn_torch_malloc(1, 9, NULL));
    setenv("TARN_TORCH_DEVICE", "sim:{}GiB", 1);
}

static void the_segment_of_an_address_is_found(void **state) {
    (void)state;
    char *pointers[3];
    for (int i = 0; i < 3; i++) pointers[i] = tarn_torch_malloc(4096, 5, NULL);
    for (int i = 0; i < 3; i++) {
        size_t size = 0;
        char *base = tarn_torch_base_allocation(pointers[i], &size);
        assert_true(base != NULL && base <= pointers[i] && pointers[i] + 4096 <= base + size);
        assert_ptr_equal(tarn_torch_base_allocation(pointers[i], NULL), base);
    }
    assert_null(tarn_torch_base_allocation(&stream_a, NULL));
    for (int i = 0; i < 3; i++) tarn_torch_free(pointers[i], 4096, 5, NULL);
}

/* Every request for host memory fails once: on the way to a device that is not open yet, to a new stream, and to memory. */
static void each_lack_of_host_memory_is_survived(void **state) {
    (void)state;
    unsigned long n = 1;
    void *pointer = NULL;
    for (; pointer == NULL && n < 1000; n++) {
        base_memory_fail_at(n, 0);
        pointer = tarn_torch_malloc(1000, 6, &stream_a);
        base_memory_fail_at(0, 0);
    }
    assert_non_null(pointer);
    assert_true(n > 4);
    base_memory_fail_at(1, 1);
    tarn_torch_record_stream(pointer, &stream_b);
    tarn_torch_free(pointer, 1000, 6, &stream_a);
    base_memory_fail_at(0, 0);
    tarn_torch_reset();
    assert_int_equal(stats_of(6).blocks.current, 0);
}

static void on_request_a_failure_ends_the_program(void **state) {
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        setenv("TARN_TORCH_ON_FAILURE", "abort", 1);
        (void)tarn_torch_malloc(64 * GIB, 1, NULL);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void another_stack_is_named_by_the_environment(void **state) {
    (void)state;
    setenv("TARN_TORCH_ALLOCATOR", "direct", 1);
    assert_string_equal(tarn_allocator_spec(tarn_torch_allocator(8)), "direct");
    tarn_torch_memory_fraction(0.5, 8); /* has no limit to lower, and says so */
    setenv("TARN_TORCH_ALLOCATOR", "nonsense", 1);
    assert_null(tarn_torch_malloc(1, 10, NULL));
    unsetenv("TARN_TORCH_ALLOCATOR");
    void *pointer = tarn_torch_malloc(1, 10, NULL);
    assert_non_null(pointer);
    tarn_torch_free(pointer, 1, 10, NULL);
}

int main(void) {
    setenv("TARN_TORCH_DEVICE", "sim:{}GiB", 1);
    unsetenv("TARN_TORCH_ALLOCATOR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_is_used_again),
        cmocka_unit_test(no_bytes_are_no_memory),
        cmocka_unit_test(each_stream_is_remembered),
        cmocka_unit_test(failures_are_null_and_a_later_call_works),
        cmocka_unit_test(a_fraction_of_the_memory_is_a_limit),
        cmocka_unit_test(foreign_addresses_are_not_freed),
        cmocka_unit_test(a_free_goes_to_the_owner_whatever_number_it_names),
        cmocka_unit_test(numbers_without_a_device_have_no_memory),
        cmocka_unit_test(the_segment_of_an_address_is_found),
        cmocka_unit_test(each_lack_of_host_memory_is_survived),
        cmocka_unit_test(on_request_a_failure_ends_the_program),
        cmocka_unit_test(another_stack_is_named_by_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
