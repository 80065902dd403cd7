/* Memory of an OpenCL opencl_device, as shared virtual memory and as buffers behind addresses: alignment, capacity, and copies and fills between
 * all kinds of places, which may lie anywhere in a block. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include "hal/memory.h"

#define SIZE ((size_t)100000)

static unsigned char *new_memory(tarn_memory_kind kind, size_t size, size_t alignment) {
    void *address = NULL;
    assert_ok(hal_memory_allocate(opencl_device, kind, size, alignment, &address));
    return address;
}

static void copy(void *destination, const void *source, size_t size) {
    assert_ok(tarn_stream_copy(tarn_device_default_stream(opencl_device), destination, source, size));
}

static void every_alignment_is_kept(void **state) { /* fault 9 */
    (void)state;
    tarn_device_properties properties = {.struct_size = sizeof properties};
    assert_ok(tarn_device_properties_get(opencl_device, &properties));
    assert_true(properties.alignment >= 64);
    for (int kind = TARN_MEMORY_DEVICE; kind < TARN_MEMORY_KIND_COUNT; kind++) {
        if ((properties.memory_kinds & TARN_MEMORY_KIND_BIT(kind)) == 0) continue;
        for (size_t alignment = properties.alignment; alignment <= properties.maximum_alignment; alignment *= 2) {
            char *memory = (char *)new_memory((tarn_memory_kind)kind, 5001, alignment);
            assert_int_equal((uintptr_t)memory & (alignment - 1), 0);
            char byte = 7, back = 0;
            copy(memory + 5000, &byte, 1);
            copy(&back, memory + 5000, 1);
            assert_ok(tarn_device_synchronize(opencl_device));
            assert_int_equal(back, 7);
            assert_ok(hal_memory_free(opencl_device, (tarn_memory_kind)kind, memory, 5001));
        }
    }
}

static void more_than_the_machine_has_is_out_of_memory(void **state) { /* fault 29 */
    (void)state;
    tarn_device_properties properties = {.struct_size = sizeof properties};
    assert_ok(tarn_device_properties_get(opencl_device, &properties));
    void *memory = &opencl_device;
    assert_fails(hal_memory_allocate(opencl_device, TARN_MEMORY_DEVICE, properties.memory_total + 4096, 0, &memory),
                 TARN_OUT_OF_MEMORY);
    assert_sentence("capacity");
    assert_fails(hal_memory_allocate(opencl_device, TARN_MEMORY_DEVICE, PTRDIFF_MAX, 0, &memory), TARN_OUT_OF_MEMORY);
    assert_ptr_equal(memory, &opencl_device);
    unsigned char *less = new_memory(TARN_MEMORY_DEVICE, SIZE, 0);
    assert_ok(hal_memory_free(opencl_device, TARN_MEMORY_DEVICE, less, SIZE));
}

/* From `from` to `to`, at odd places in both, and back to the host. */
static void check_way(unsigned char *to, unsigned char *from, const unsigned char *wanted) {
    static unsigned char back[SIZE];
    static const unsigned char nothing[SIZE];
    copy(to, nothing, SIZE);
    copy(from, wanted, SIZE);
    copy(to + 3, from + 1001, 50000);
    copy(back, to, SIZE);
    assert_ok(tarn_device_synchronize(opencl_device));
    assert_memory_equal(back + 3, wanted + 1001, 50000);
    assert_memory_equal(back, nothing, 3);
    assert_memory_equal(back + 50003, nothing, SIZE - 50003);
}

static void copies_reach_every_kind_of_memory(void **state) {
    (void)state;
    static const tarn_memory_kind kinds[] = {TARN_MEMORY_DEVICE, TARN_MEMORY_DEVICE, TARN_MEMORY_PINNED,
                                             TARN_MEMORY_HOST};
    enum { PLACES = sizeof kinds / sizeof kinds[0] + 1 };
    unsigned char *places[PLACES], *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t i = 0; i + 1 < PLACES; i++) places[i] = new_memory(kinds[i], SIZE, 0);
    places[PLACES - 1] = malloc(SIZE);
    assert_non_null(places[PLACES - 1]);
    for (size_t to = 0; to < PLACES; to++)
        for (size_t from = 0; from < PLACES; from++)
            if (to != from) check_way(places[to], places[from], bytes);
    for (size_t i = 0; i + 1 < PLACES; i++) assert_ok(hal_memory_free(opencl_device, kinds[i], places[i], SIZE));
    free(places[PLACES - 1]);
    free(bytes);
}

static void the_host_writes_pinned_memory_directly(void **state) {
    (void)state;
    unsigned char *pinned = new_memory(TARN_MEMORY_PINNED, SIZE, 0);
    unsigned char *memory = new_memory(TARN_MEMORY_DEVICE, SIZE, 0);
    memset(pinned, 0x5a, SIZE);
    copy(memory, pinned, SIZE);
    assert_ok(tarn_device_synchronize(opencl_device));
    memset(pinned, 0, SIZE);
    copy(pinned, memory, SIZE);
    assert_ok(tarn_device_synchronize(opencl_device));
    assert_int_equal(pinned[0] & pinned[SIZE - 1], 0x5a);
    assert_ok(hal_memory_free(opencl_device, TARN_MEMORY_PINNED, pinned, SIZE));
    assert_ok(hal_memory_free(opencl_device, TARN_MEMORY_DEVICE, memory, SIZE));
}

static void patterns_of_each_size_are_filled_in_anywhere(void **state) {
    (void)state;
    static const unsigned char pattern[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static unsigned char back[4096];
    static const tarn_memory_kind kinds[] = {TARN_MEMORY_DEVICE, TARN_MEMORY_PINNED, TARN_MEMORY_HOST};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        unsigned char *memory = new_memory(kinds[k], sizeof back, 0);
        for (size_t size = 1; size <= 8; size *= 2) {
            tarn_stream *stream = tarn_device_default_stream(opencl_device);
            assert_ok(tarn_stream_fill(stream, memory, "\xee", 1, sizeof back));
            assert_ok(tarn_stream_fill(stream, memory + 8 * size, pattern, size, 100 * size));
            copy(back, memory, sizeof back);
            assert_ok(tarn_device_synchronize(opencl_device));
            assert_int_equal(back[8 * size - 1], 0xee);
            assert_int_equal(back[108 * size], 0xee);
            for (size_t i = 0; i < 100 * size; i++) assert_int_equal(back[8 * size + i], pattern[i % size]);
        }
        assert_ok(hal_memory_free(opencl_device, kinds[k], memory, sizeof back));
    }
}

static void buffers_of_an_allocator_share_the_driver_s_memory(void **state) {
    (void)state;
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffers[64];
    assert_ok(tarn_allocator_create(opencl_device, "caching", &allocator));
    for (int i = 0; i < 64; i++) {
        assert_ok(tarn_allocator_allocate(allocator, 1000, NULL, &buffers[i]));
        assert_ok(tarn_stream_fill(tarn_device_default_stream(opencl_device), tarn_buffer_data(buffers[i]),
                                   &(unsigned char){(unsigned char)i}, 1, 1000));
    }
    for (int i = 0; i < 64; i++) {
        unsigned char back[1000];
        copy(back, tarn_buffer_data(buffers[i]), sizeof back);
        assert_ok(tarn_device_synchronize(opencl_device));
        assert_int_equal(back[0], i);
        assert_int_equal(back[999], i);
        assert_ok(tarn_allocator_free(allocator, buffers[i], NULL));
    }
    tarn_device_counters counters = {.struct_size = sizeof counters};
    assert_ok(tarn_device_counters_get(opencl_device, &counters));
    assert_true(counters.driver_allocs < 8);
    assert_ok(tarn_allocator_release(allocator));
}

int main(void) {
    if (!has_opencl()) return EXIT_SKIPPED;
    const struct CMUnitTest tests[] = {
        TEST_BOTH(every_alignment_is_kept),
        TEST_BOTH(more_than_the_machine_has_is_out_of_memory),
        TEST_BOTH(copies_reach_every_kind_of_memory),
        TEST_BOTH(the_host_writes_pinned_memory_directly),
        TEST_BOTH(patterns_of_each_size_are_filled_in_anywhere),
        TEST_BOTH(buffers_of_an_allocator_share_the_driver_s_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
