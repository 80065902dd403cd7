/* Memory of the cpu device: alignment, contents, and granules that move. */
#include "check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hal/memory.h"
#include "on_cpu.h"

#define MIB ((size_t)1 << 20)
#define GRANULE (2 * MIB)

static void alignments_up_to_a_gibibyte_are_kept(void **state) { /* fault 9 */
    (void)state;
    for (size_t alignment = 64; alignment <= (size_t)1 << 30; alignment *= 2) {
        unsigned char *memory = NULL;
        assert_ok(hal_memory_allocate(cpu, TARN_MEMORY_DEVICE, 5000, alignment, (void **)&memory));
        assert_int_equal((uintptr_t)memory & (alignment - 1), 0);
        memory[0] = 1;
        memory[4999] = 2;
        assert_ok(hal_memory_free(cpu, TARN_MEMORY_DEVICE, memory, 5000));
    }
    void *memory;
    assert_fails(hal_memory_allocate(cpu, TARN_MEMORY_DEVICE, 64, (size_t)2 << 30, &memory), TARN_INVALID_ARGUMENT);
}

static void large_blocks_lie_on_huge_pages_and_begin_as_zeros(void **state) {
    (void)state;
    unsigned char *memory = NULL;
    size_t size = 5 * MIB + 1;
    assert_ok(hal_memory_allocate(cpu, TARN_MEMORY_HOST, size, 0, (void **)&memory));
    assert_int_equal((uintptr_t)memory & (GRANULE - 1), 0);
    assert_int_equal(memory[0] | memory[size - 1], 0);
    memory[size - 1] = 1;
    assert_ok(hal_memory_free(cpu, TARN_MEMORY_HOST, memory, size));
}

static void more_than_the_machine_has_is_out_of_memory(void **state) { /* fault 29 */
    (void)state;
    size_t total = properties_of(cpu).memory_total;
    void *memory = &cpu;
    assert_fails(hal_memory_allocate(cpu, TARN_MEMORY_DEVICE, total + 4096, 0, &memory), TARN_OUT_OF_MEMORY);
    assert_sentence("capacity");
    assert_fails(hal_memory_allocate(cpu, TARN_MEMORY_DEVICE, PTRDIFF_MAX, 0, &memory), TARN_OUT_OF_MEMORY);
    assert_ptr_equal(memory, &cpu);
    tarn_backend_granule granule = 42;
    assert_fails(hal_granules_create(cpu, total / GRANULE + 1, &granule), TARN_OUT_OF_MEMORY);
    assert_int_equal(granule, 42);
    assert_int_equal(counters_of(cpu).memory_in_use, 0);
    assert_int_equal(counters_of(cpu).memory_peak, 0);
}

static void granules_are_memory_wherever_they_are_mapped(void **state) {
    (void)state;
    unsigned char *first, *second;
    tarn_backend_granule granules[4];
    assert_ok(hal_virtual_reserve(cpu, 8 * GRANULE, (void **)&first));
    assert_ok(hal_virtual_reserve(cpu, 8 * GRANULE, (void **)&second));
    assert_int_equal((uintptr_t)first & (GRANULE - 1), 0);
    assert_ok(hal_granules_create(cpu, 4, granules));
    assert_int_equal(counters_of(cpu).memory_in_use, 4 * GRANULE);
    assert_ok(hal_virtual_map(cpu, first, 4, granules));
    memset(first, 0x5a, 4 * GRANULE);
    /* Two granules move while the others keep what is in them. */
    assert_ok(hal_virtual_unmap(cpu, first + GRANULE, 2));
    assert_ok(hal_virtual_map(cpu, second + 5 * GRANULE, 2, &granules[1]));
    memset(second + 5 * GRANULE, 0xa5, 2 * GRANULE);
    for (size_t i = 0; i < GRANULE; i += 4096) {
        assert_int_equal(first[i], 0x5a);
        assert_int_equal(first[3 * GRANULE + i], 0x5a);
        assert_int_equal(second[5 * GRANULE + i], 0xa5);
    }
    assert_ok(hal_virtual_unmap(cpu, first, 1));
    assert_ok(hal_virtual_unmap(cpu, first + 3 * GRANULE, 1));
    assert_ok(hal_virtual_unmap(cpu, second + 5 * GRANULE, 2));
    /* Back in another order: the slots hold pages of the others. */
    tarn_backend_granule turned[4] = {granules[3], granules[2], granules[1], granules[0]};
    assert_ok(hal_virtual_map(cpu, first, 4, turned));
    memset(first, 1, 4 * GRANULE);
    assert_ok(hal_virtual_unmap(cpu, first, 4));
    assert_ok(hal_virtual_release(cpu, first, 8 * GRANULE));
    /* Their resting place is gone; they are memory all the same. */
    assert_ok(hal_virtual_map(cpu, second, 4, granules));
    memset(second, 2, 4 * GRANULE);
    assert_ok(hal_virtual_unmap(cpu, second, 4));
    assert_ok(hal_granules_release(cpu, 4, granules));
    assert_ok(hal_virtual_release(cpu, second, 8 * GRANULE));
    tarn_device_counters counters = counters_of(cpu);
    assert_int_equal(counters.memory_in_use, 0);
    assert_int_equal(counters.driver_maps, 14);
    assert_int_equal(counters.driver_unmaps, 14);
}

/* Granules wander between slots at random; what is mapped keeps what was written into it. */
static void wandering_granules_never_share_pages(void **state) {
    (void)state;
    enum { SLOTS = 12, GRANULES = 8 };
    const int steps = getenv("TARN_TEST_SLOWNESS") != NULL ? 800 : 4000;
    unsigned char *range;
    tarn_backend_granule granules[GRANULES];
    int slot_of[GRANULES]; /* -1: unmapped */
    bool is_taken[SLOTS] = {false};
    unsigned random = 1;
    assert_ok(hal_virtual_reserve(cpu, SLOTS * GRANULE, (void **)&range));
    assert_ok(hal_granules_create(cpu, GRANULES, granules));
    for (int i = 0; i < GRANULES; i++) slot_of[i] = -1;
    for (int step = 0; step < steps; step++) {
        random = random * 1664525u + 1013904223u;
        int i = (int)(random >> 16) % GRANULES;
        int slot = (int)(random >> 8) % SLOTS;
        if (slot_of[i] >= 0) {
            assert_int_equal(range[(size_t)slot_of[i] * GRANULE], i + 1);
            assert_ok(hal_virtual_unmap(cpu, range + (size_t)slot_of[i] * GRANULE, 1));
            is_taken[slot_of[i]] = false;
            slot_of[i] = -1;
        } else if (random % 64 == 0) {
            assert_ok(hal_granules_release(cpu, 1, &granules[i]));
            assert_ok(hal_granules_create(cpu, 1, &granules[i]));
        } else if (!is_taken[slot]) {
            assert_ok(hal_virtual_map(cpu, range + (size_t)slot * GRANULE, 1, &granules[i]));
            range[(size_t)slot * GRANULE] = (unsigned char)(i + 1);
            is_taken[slot] = true;
            slot_of[i] = slot;
        }
        for (int k = 0; k < GRANULES; k++) {
            if (slot_of[k] >= 0) assert_int_equal(range[(size_t)slot_of[k] * GRANULE], k + 1);
        }
    }
    for (int i = 0; i < GRANULES; i++) {
        if (slot_of[i] >= 0) assert_ok(hal_virtual_unmap(cpu, range + (size_t)slot_of[i] * GRANULE, 1));
    }
    assert_ok(hal_granules_release(cpu, GRANULES, granules));
    assert_ok(hal_virtual_release(cpu, range, SLOTS * GRANULE));
}

static void mapping_what_cannot_be_mapped_changes_nothing(void **state) {
    (void)state;
    unsigned char *range;
    tarn_backend_granule granules[3];
    assert_ok(hal_virtual_reserve(cpu, 4 * GRANULE, (void **)&range));
    assert_ok(hal_granules_create(cpu, 3, granules));
    assert_ok(hal_virtual_map(cpu, range + GRANULE, 1, granules));
    range[GRANULE] = 9;
    tarn_backend_granule twice[2] = {granules[1], granules[1]};
    assert_fails(hal_virtual_map(cpu, range, 1, granules), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(cpu, range, 2, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_sentence("mapped already");
    assert_fails(hal_virtual_map(cpu, range + 2 * GRANULE, 2, twice), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(cpu, range + 3 * GRANULE, 2, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(cpu, range + 1, 1, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(cpu, range, 0, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(cpu, range, SIZE_MAX / 2, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(cpu, range, 1, NULL), TARN_INVALID_ARGUMENT);
    tarn_backend_granule unknown = 4711;
    assert_fails(hal_virtual_map(cpu, range, 1, &unknown), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_unmap(cpu, range, 2), TARN_INVALID_ARGUMENT);
    assert_fails(hal_granules_release(cpu, 3, granules), TARN_INVALID_ARGUMENT);
    assert_fails(hal_granules_release(cpu, 2, twice), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_release(cpu, range, 4 * GRANULE), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_release(cpu, range, 2 * GRANULE), TARN_INVALID_ARGUMENT);
    assert_int_equal(range[GRANULE], 9);
    assert_ok(hal_virtual_map(cpu, range + 2 * GRANULE, 2, &granules[1]));
    range[4 * GRANULE - 1] = 1;
    assert_ok(hal_virtual_unmap(cpu, range + GRANULE, 3));
    assert_ok(hal_granules_release(cpu, 3, granules));
    assert_ok(hal_virtual_release(cpu, range, 4 * GRANULE));
    assert_fails(hal_virtual_reserve(cpu, GRANULE + 4096, (void **)&range), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_reserve(cpu, 0, (void **)&range), TARN_INVALID_ARGUMENT);
}

static int touch(void *context) {
    *(volatile unsigned char *)context = 1;
    return 0;
}

static void an_unmapped_granule_cannot_be_touched(void **state) {
    (void)state;
    unsigned char *range;
    tarn_backend_granule granule;
    assert_ok(hal_virtual_reserve(cpu, GRANULE, (void **)&range));
    assert_int_equal(exit_of_child(touch, range), 1000 + SIGSEGV);
    assert_ok(hal_granules_create(cpu, 1, &granule));
    assert_ok(hal_virtual_map(cpu, range, 1, &granule));
    assert_int_equal(exit_of_child(touch, range), 0);
    assert_ok(hal_virtual_unmap(cpu, range, 1));
    assert_int_equal(exit_of_child(touch, range), 1000 + SIGSEGV);
    assert_ok(hal_granules_release(cpu, 1, &granule));
    assert_ok(hal_virtual_release(cpu, range, GRANULE));
}

/* Uses up the kernel's mappings: every other page of a large range gets another protection, until that fails. Returns
 * how many bytes of the range are cut up, 0 when there is no end of them. */
static size_t use_up_mappings(char **out_range) {
    const size_t size = (size_t)16 << 30;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *range = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) return 0;
    *out_range = range;
    for (size_t offset = page; offset + page < size; offset += 2 * page) {
        if (mprotect(range + offset, page, PROT_READ) != 0) return offset;
    }
    munmap(range, size);
    return 0;
}

/* In a child that has not used Tarn before. */
static int map_without_mappings(void *context) {
    char *range, *cut_up;
    void *memory = NULL;
    tarn_backend_granule granules[5];
    (void)context;
    if (tarn_device_open("cpu", &cpu) != TARN_OK) return 1;
    if (hal_virtual_reserve(cpu, 16 * GRANULE, (void **)&range) != TARN_OK) return 2;
    if (hal_granules_create(cpu, 5, granules) != TARN_OK) return 3;
    if (hal_virtual_map(cpu, range, 3, granules) != TARN_OK) return 4;
    if (hal_virtual_map(cpu, range + 8 * GRANULE, 1, &granules[3]) != TARN_OK) return 5;
    range[8 * GRANULE] = 6;
    if (hal_virtual_unmap(cpu, range + 8 * GRANULE, 1) != TARN_OK) return 6;
    range[GRANULE] = 7;
    size_t cut = use_up_mappings(&cut_up);
    if (cut == 0) return 77;
    /* To map or unmap in the middle needs more mappings; nothing changes without them. */
    if (hal_virtual_map(cpu, range + 5 * GRANULE, 1, &granules[4]) != TARN_OUT_OF_MEMORY) return 7;
    if (strstr(tarn_last_error(), "vm.max_map_count") == NULL) return 8;
    if (hal_virtual_unmap(cpu, range + GRANULE, 1) != TARN_OUT_OF_MEMORY) return 9;
    if (range[GRANULE] != 7) return 10;
    if (hal_virtual_map(cpu, range + 11 * GRANULE, 1, &granules[3]) != TARN_OUT_OF_MEMORY) return 11;
    if (hal_memory_allocate(cpu, TARN_MEMORY_DEVICE, 64 * MIB, 0, &memory) == TARN_OK) {
        hal_memory_free(cpu, TARN_MEMORY_DEVICE, memory, 64 * MIB);
    }
    munmap(cut_up, cut);
    /* The cause is gone: all of it works. */
    if (hal_virtual_map(cpu, range + 5 * GRANULE, 1, &granules[4]) != TARN_OK) return 12;
    if (hal_virtual_map(cpu, range + 11 * GRANULE, 1, &granules[3]) != TARN_OK) return 13;
    range[5 * GRANULE] = range[11 * GRANULE] = 1;
    if (hal_virtual_unmap(cpu, range + GRANULE, 1) != TARN_OK) return 14;
    if (hal_virtual_unmap(cpu, range, 1) != TARN_OK || hal_virtual_unmap(cpu, range + 2 * GRANULE, 1) != TARN_OK)
        return 15;
    if (hal_virtual_unmap(cpu, range + 5 * GRANULE, 1) != TARN_OK) return 16;
    if (hal_virtual_unmap(cpu, range + 11 * GRANULE, 1) != TARN_OK) return 17;
    if (hal_granules_release(cpu, 5, granules) != TARN_OK) return 18;
    if (hal_virtual_release(cpu, range, 16 * GRANULE) != TARN_OK) return 19;
    return tarn_device_release(cpu) == TARN_OK ? 0 : 20;
}

static void at_the_limit_of_mappings_nothing_changes_and_a_retry_works(void **state) { /* fault 28 */
    (void)state;
#if defined(__SANITIZE_THREAD__)
    print_message("skipped: ThreadSanitizer needs mappings of its own\n");
    skip();
#endif
    if (getenv("TARN_TEST_ON_VALGRIND") != NULL) {
        print_message("skipped: valgrind ends when the kernel's mappings are more than its own table has room for\n");
        skip();
    }
    int result = exit_of_child(map_without_mappings, NULL);
    if (result == 77) {
        print_message("skipped: this system sets no end to the number of mappings\n");
        skip();
    }
    assert_int_equal(result, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* The first runs in a child of a process that has not used Tarn. */
        cmocka_unit_test(at_the_limit_of_mappings_nothing_changes_and_a_retry_works),
        cmocka_unit_test_setup_teardown(alignments_up_to_a_gibibyte_are_kept, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(large_blocks_lie_on_huge_pages_and_begin_as_zeros, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(more_than_the_machine_has_is_out_of_memory, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(granules_are_memory_wherever_they_are_mapped, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(wandering_granules_never_share_pages, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(mapping_what_cannot_be_mapped_changes_nothing, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(an_unmapped_granule_cannot_be_touched, open_cpu, close_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
