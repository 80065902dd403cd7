/* guard above strategies that take buffers back by themselves, while streams still use them. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fake.h"
#include "stand.h"

/* The fake driver, whose answer to one thread's question about an event takes long. */
static struct {
    tarn_backend table;
    pthread_t asker;
    atomic_bool is_slow, is_asked, is_served;
} slow;

static tarn_status ask_slowly(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    if (atomic_load(&slow.is_slow) && pthread_equal(pthread_self(), slow.asker)) {
        atomic_store(&slow.is_slow, false);
        atomic_store(&slow.is_asked, true);
        /* Whoever rightly waits for this answer is not served before it: then it comes after a while. */
        for (int i = 0; i < 100 && !atomic_load(&slow.is_served); i++) usleep(1000);
    }
    return fake_driver.event_query(device, event, out_complete);
}

static void *look_after_streams(void *context) {
    slow.asker = pthread_self();
    atomic_store(&slow.is_slow, true);
    (void)tarn_allocator_check(context);
    return NULL;
}

static void memory_that_a_stream_uses_is_not_handed_out_while_another_thread_asks_about_it(void **state) {
    (void)state;
    test_stand stand;
    pthread_t thread;
    slow.table = fake_driver;
    slow.table.name = "slow";
    slow.table.event_query = ask_slowly;
    EXPECT_OK(tarn_backend_register(&slow.table));
    fake_reset();
    stand_open(&stand, "guard | pool", "slow:1GiB");
    test_gate gate = {.is_open = false};
    EXPECT_OK(tarn_stream_enqueue(stand_stream(&stand, 0), fake_hold, &gate));
    /* The pool takes back what the guard knows to be in use. */
    tarn_buffer *buffer = take(&stand, 4096, NULL);
    EXPECT_OK(tarn_allocator_free(stand.allocator, buffer, stand_stream(&stand, 0)));
    EXPECT_OK(tarn_pool_clear(stand.allocator));
    assert_int_equal(pthread_create(&thread, NULL, look_after_streams, stand.allocator), 0);
    while (!atomic_load(&slow.is_asked)) usleep(100);
    unsigned long before = fake_forced_waits();
    buffer = take(&stand, 4096, NULL);
    atomic_store(&slow.is_served, true);
    assert_int_equal(fake_forced_waits(), before + 1);
    pthread_join(thread, NULL);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* However many streams still use what a strategy has taken back, a call asks about a few, and the next one about others. */
static void what_was_taken_back_in_use_is_asked_about_a_little_at_a_time(void **state) {
    (void)state;
    enum { buffers = 100, most_in_a_call = 32 };
    static const char *const taking[] = {"guard:quarantine=0 | pool", "guard | arena"};
    for (size_t s = 0; s < sizeof taking / sizeof taking[0]; s++) {
        test_stand stand;
        tarn_buffer *all[buffers];
        fake_reset();
        stand_open(&stand, taking[s], "fake:1GiB");
        test_gate gate = {.is_open = false};
        EXPECT_OK(tarn_stream_enqueue(stand_stream(&stand, 0), fake_hold, &gate));
        for (int i = 0; i < buffers; i++) all[i] = take(&stand, 256, NULL);
        for (int i = 0; i < buffers; i++)
            EXPECT_OK(tarn_allocator_free(stand.allocator, all[i], stand_stream(&stand, 0)));
        EXPECT_OK(s == 0 ? tarn_pool_clear(stand.allocator) : tarn_arena_reset(stand.allocator));
        fake_fail(FAKE_EVENT_QUERY, 0, 0, TARN_OK);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_in_range(fake_calls(), 1, most_in_a_call);
        gate_open(&gate);
        fake_proceed();
        /* All in turn, and what was found to be over is not asked about again. */
        for (int i = 0; i < buffers; i++) EXPECT_OK(tarn_allocator_check(stand.allocator));
        fake_fail(FAKE_EVENT_QUERY, 0, 0, TARN_OK);
        for (int i = 0; i < buffers; i++) all[i] = take(&stand, 256, NULL);
        assert_int_equal(fake_calls(), 0);
        assert_int_equal(fake_forced_waits(), 0);
        for (int i = 0; i < buffers; i++) give(&stand, all[i], NULL);
        stand_close(&stand);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_a_stream_uses_is_not_handed_out_while_another_thread_asks_about_it),
        cmocka_unit_test(what_was_taken_back_in_use_is_asked_about_a_little_at_a_time),
    };
    return cmocka_run_group_tests_name("memory guard streams", tests, NULL, NULL);
}
