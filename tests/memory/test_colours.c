/* Colours: where in a page the blocks of a heap begin. When all of them begin with a page, what a program does once for each page
 * or row of several blocks meets few sets of a processor's cache; when each begins elsewhere, it meets all of them. That must cost
 * no memory. */
#include "stand.h"

#define PAGE 4096
#define BLOCKS 16
#define GRANULE (2 * MIB) /* of these devices */

static const char *const devices[] = {"cpu", "sim:8GiB", "sim:8GiB,granule=0"};
enum { DEVICES = sizeof devices / sizeof devices[0] };

static void take_all(test_stand *stand, tarn_buffer *buffers[BLOCKS], size_t size) {
    for (int i = 0; i < BLOCKS; i++) buffers[i] = take(stand, size, NULL);
}

static void give_all(test_stand *stand, tarn_buffer *buffers[BLOCKS]) {
    for (int i = 0; i < BLOCKS; i++) give(stand, buffers[i], NULL);
}

/* Whole pages, so that no block begins inside one because of the size of the block before it. */
static void large_blocks_begin_in_different_parts_of_a_page(void **state) {
    (void)state;
    for (int d = 0; d < DEVICES; d++) {
        test_stand stand;
        tarn_buffer *buffers[BLOCKS];
        unsigned char is_seen[PAGE / 64] = {0};
        int different = 0;
        stand_open(&stand, "caching", devices[d]);
        take_all(&stand, buffers, 11 * MIB + 25 * PAGE);
        for (int i = 0; i < BLOCKS; i++) {
            size_t part = (uintptr_t)tarn_buffer_data(buffers[i]) % PAGE / 64;
            different += is_seen[part] == 0;
            is_seen[part] = 1;
        }
        assert_true(different >= BLOCKS / 2);
        give_all(&stand, buffers);
        stand_close(&stand);
    }
}

static void an_alignment_that_was_asked_for_is_kept(void **state) {
    (void)state;
    for (int d = 0; d < DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching", devices[d]);
        for (size_t alignment = 256; alignment <= MIB; alignment *= 2) {
            tarn_buffer *buffer = take_aligned(&stand, 3 * MIB + 1, alignment);
            assert_int_equal((uintptr_t)tarn_buffer_data(buffer) % alignment, 0);
            give(&stand, buffer, NULL);
        }
        stand_close(&stand);
    }
}

/* What is beyond whole granules is half of one, so that two blocks share it; and so little that many do. */
static void blocks_that_share_granules_lose_no_room_to_it(void **state) {
    (void)state;
    static const size_t rests[] = {MIB, 512 * KIB, 64 * KIB};
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        for (int d = 0; d < 2; d++) {
            test_stand stand;
            tarn_buffer *buffers[BLOCKS];
            stand_open(&stand, "caching", devices[d]);
            take_all(&stand, buffers, 24 * MIB + rests[i]);
            size_t needed = BLOCKS * (24 * MIB + rests[i]);
            size_t reserved = stats_of(stand.allocator).reserved_bytes.current;
            assert_true(reserved <= needed + 2 * GRANULE);
            give_all(&stand, buffers);
            stand_close(&stand);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_blocks_begin_in_different_parts_of_a_page),
        cmocka_unit_test(an_alignment_that_was_asked_for_is_kept),
        cmocka_unit_test(blocks_that_share_granules_lose_no_room_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
