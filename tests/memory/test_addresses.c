/* Addresses: a heap of the caching allocator begins with few, doubles them as it needs more, gives back what nothing is mapped in,
 * and leaves everything to the next new stream when its own ends. How many there are is seen by the blocks, which tile
 * all segments. */
#include <pthread.h>

#include "fake.h"
#include "stand.h"

static int add_size(void *context, const tarn_block_info *info) {
    *(uint64_t *)context += info->size;
    return 0;
}

static uint64_t addresses_of(tarn_allocator *allocator) {
    uint64_t bytes = 0;
    EXPECT_OK(tarn_allocator_each_block(allocator, add_size, &bytes));
    return bytes;
}

static void a_heap_begins_with_few_addresses(test_stand *stand) {
    tarn_buffer *buffers[STAND_STREAMS];
    for (int i = 0; i < STAND_STREAMS; i++) buffers[i] = take(stand, MIB, stand_stream(stand, i));
    assert_true(addresses_of(stand->allocator) <= stand->properties.memory_total);
    for (int i = 0; i < STAND_STREAMS; i++) give(stand, buffers[i], stand_stream(stand, i));
}

static void addresses_grow_with_what_is_asked_for(test_stand *stand) {
    tarn_buffer *buffers[14];
    enum { COUNT = sizeof buffers / sizeof buffers[0] };
    uint64_t before = addresses_of(stand->allocator);
    const size_t piece = stand_large(stand, 64 * MIB);
    for (int i = 0; i < COUNT; i++) {
        buffers[i] = take(stand, piece, NULL);
        for (int j = 0; j < i; j++) assert_false(buffers_overlap(buffers[i], buffers[j]));
    }
    uint64_t after = addresses_of(stand->allocator);
    assert_true(after - before >= COUNT * piece);
    assert_true(after <= 4 * stand->properties.memory_total);
    for (int i = 0; i < COUNT; i++) give(stand, buffers[i], NULL);
}

/* A request for more than all segments so far gets a segment of its own size. */
static void one_large_request_reserves_what_it_needs(test_stand *stand) {
    tarn_buffer *buffer = take(stand, stand_large(stand, 900 * MIB), NULL);
    assert_true(addresses_of(stand->allocator) <= stand->properties.memory_total);
    give(stand, buffer, NULL);
}

static void empty_cache_gives_addresses_back(test_stand *stand) {
    const size_t piece = stand_large(stand, 64 * MIB);
    tarn_buffer *kept = take(stand, 1000, NULL), *buffers[10];
    for (int i = 0; i < 10; i++) buffers[i] = take(stand, piece, stand_stream(stand, i % 2));
    for (int i = 0; i < 10; i++) give(stand, buffers[i], NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    give(stand, kept, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(addresses_of(stand->allocator), 0);
    give(stand, take(stand, piece, NULL), NULL);
}

typedef struct ordering {
    uint64_t end; /* of the block seen last */
    unsigned long blocks, disorders;
} ordering;

/* Under the allocator's lock, where a test cannot fail. */
static int check_order(void *context, const tarn_block_info *info) {
    ordering *seen = context;
    seen->disorders += info->address < seen->end;
    seen->end = info->address + info->size;
    seen->blocks++;
    return 0;
}

static void blocks_are_shown_in_address_order(test_stand *stand) {
    const size_t piece = stand_large(stand, 64 * MIB);
    tarn_buffer *buffers[12];
    ordering seen = {0};
    for (int i = 0; i < 12; i++) buffers[i] = take(stand, i % 3 == 0 ? piece : 1000, stand_stream(stand, i % 2));
    for (int i = 0; i < 12; i += 3) give(stand, buffers[i], NULL);
    EXPECT_OK(tarn_allocator_each_block(stand->allocator, check_order, &seen));
    assert_true(seen.blocks >= 8);
    assert_int_equal(seen.disorders, 0);
    for (int i = 0; i < 12; i++)
        if (i % 3 != 0) give(stand, buffers[i], NULL);
}

static void use_a_stream(test_stand *stand, tarn_stream *stream) {
    tarn_buffer *small = take(stand, 1000, stream), *large = take(stand, 9 * MIB, stream);
    give(stand, large, stream);
    large = take(stand, 11 * MIB, stream);
    give(stand, small, stream);
    give(stand, large, stream);
}

static void streams_that_come_and_go_need_no_more_than_one(test_stand *stand) {
    uint64_t addresses = 0;
    size_t memory = 0;
    for (int i = 0; i < 40; i++) {
        tarn_stream *stream = NULL;
        EXPECT_OK(tarn_stream_create(stand->device, &stream));
        use_a_stream(stand, stream);
        EXPECT_OK(tarn_stream_release(stream));
        if (i == 0) {
            addresses = addresses_of(stand->allocator);
            memory = tarn_allocator_allocated_size(stand->allocator);
        }
    }
    assert_int_equal(addresses_of(stand->allocator), addresses);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), memory);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(addresses_of(stand->allocator), 0);
}

/* The heap goes on with another stream while a buffer of the first one is still in use. */
static void a_buffer_outlives_its_stream_in_a_heap_that_serves_another(test_stand *stand) {
    tarn_stream *first = NULL, *second = NULL;
    EXPECT_OK(tarn_stream_create(stand->device, &first));
    tarn_buffer *old = take(stand, 3 * MIB, first);
    use_a_stream(stand, first);
    EXPECT_OK(tarn_stream_release(first));
    EXPECT_OK(tarn_stream_create(stand->device, &second));
    use_a_stream(stand, second);
    tarn_buffer *new = take(stand, 3 * MIB, second);
    assert_false(buffers_overlap(old, new));
    assert_true(tarn_buffer_is_valid(old));
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    give(stand, old, second);
    give(stand, new, NULL);
    use_a_stream(stand, second);
    EXPECT_OK(tarn_stream_release(second));
}

/* 22: the new stream of a heap may use at once what the old one left, since the old one has finished. */
static void a_new_stream_is_given_nothing_that_another_stream_still_uses(test_stand *stand) {
    tarn_stream *first = NULL, *second = NULL;
    EXPECT_OK(tarn_stream_create(stand->device, &first));
    tarn_buffer *shared = take(stand, 9 * MIB, first);
    EXPECT_OK(tarn_buffer_record_stream(shared, stand_stream(stand, 0)));
    stand_hold(stand, 0);
    give(stand, shared, first);
    EXPECT_OK(tarn_stream_release(first));
    EXPECT_OK(tarn_stream_create(stand->device, &second));
    for (int i = 0; i < 10; i++) use_a_stream(stand, second);
    assert_int_equal(fake_taken_while_held(), 0);
    assert_int_equal(fake_forced_waits(), 0);
    stand_let_go(stand, 0);
    EXPECT_OK(tarn_stream_release(second));
}

/* Without a call to the driver: what the old stream's heap has is there already. */
static void a_new_stream_takes_over_what_an_ended_one_left(test_stand *stand) {
    tarn_stream *stream = NULL;
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(tarn_stream_create(stand->device, &stream));
        use_a_stream(stand, stream);
        EXPECT_OK(tarn_stream_release(stream));
    }
    fake_fail(FAKE_GIVING_MEMORY | FAKE_TAKING_MEMORY, 0, 0, TARN_OK);
    for (int i = 0; i < 10; i++) {
        EXPECT_OK(tarn_stream_create(stand->device, &stream));
        use_a_stream(stand, stream);
        EXPECT_OK(tarn_stream_release(stream));
    }
    assert_int_equal(fake_calls(), 0);
}

typedef struct visitor {
    test_stand *stand;
    tarn_status status; /* the first that was not OK */
    int rounds;
} visitor;

static void note(visitor *self, tarn_status status) {
    if (self->status == TARN_OK) self->status = status;
}

static void *come_and_go(void *context) {
    visitor *self = context;
    tarn_allocator *allocator = self->stand->allocator;
    for (int i = 0; i < self->rounds && self->status == TARN_OK; i++) {
        tarn_stream *stream = NULL;
        tarn_buffer *buffers[3] = {NULL, NULL, NULL};
        note(self, tarn_stream_create(self->stand->device, &stream));
        for (int j = 0; j < 3; j++)
            note(self, tarn_allocator_allocate(allocator, (size_t)1000 << (6 * j), stream, &buffers[j]));
        note(self, tarn_buffer_record_stream(buffers[1], NULL));
        for (int j = 0; j < 3; j++) note(self, tarn_allocator_free(allocator, buffers[j], j == 0 ? NULL : stream));
        if (i % 8 == 7) note(self, tarn_allocator_empty_cache(allocator));
        note(self, tarn_stream_release(stream));
    }
    return NULL;
}

static void threads_whose_streams_come_and_go_share_the_heaps(test_stand *stand) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    visitor visitors[THREADS];
    for (int i = 0; i < THREADS; i++) {
        visitors[i] = (visitor){.stand = stand, .rounds = (int)(200 / test_slowness()) + 16};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &visitors[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(visitors[i].status, TARN_OK);
    }
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(addresses_of(stand->allocator), 0);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_heap_begins_with_few_addresses, SPEC_CACHES),
        CONFORMANCE_TEST(addresses_grow_with_what_is_asked_for, SPEC_CACHES),
        CONFORMANCE_TEST(one_large_request_reserves_what_it_needs, SPEC_CACHES),
        CONFORMANCE_TEST(empty_cache_gives_addresses_back, SPEC_CACHES),
        CONFORMANCE_TEST(blocks_are_shown_in_address_order, SPEC_CACHES),
        CONFORMANCE_TEST(streams_that_come_and_go_need_no_more_than_one, SPEC_CACHES),
        CONFORMANCE_TEST(a_buffer_outlives_its_stream_in_a_heap_that_serves_another, SPEC_CACHES),
        CONFORMANCE_TEST(a_new_stream_is_given_nothing_that_another_stream_still_uses, SPEC_CACHES | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_new_stream_takes_over_what_an_ended_one_left, SPEC_CACHES | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(threads_whose_streams_come_and_go_share_the_heaps, SPEC_CACHES | SPEC_THREADS),
    };
    return conformance_run("memory addresses", tests, sizeof tests / sizeof tests[0]);
}
