/* Host functions: malloc's promises, pointers that are not theirs, and two libraries that run on them unchanged: zlib, which passes
 * a context on, and jansson, which does not. Numbers in comments are those of the project's list of faults. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <tarn/host_functions.h>
#include <unistd.h>
#include <zlib.h>

#include "child.h"
#include "stand.h"
#include "trials.h"

static const char *const specs[] = {"caching", "direct",          "pool",  "pool | caching",
                                    "arena",   "arena | caching", "graph", "track | limit:1GiB | caching"};
#define SPECS (sizeof specs / sizeof specs[0])

static void on_each(void (*body)(test_stand *stand, tarn_host_functions *functions)) {
    for (size_t i = 0; i < SPECS; i++) {
        test_stand stand;
        tarn_host_functions *functions = NULL;
        stand_open(&stand, specs[i], "cpu");
        EXPECT_OK(tarn_host_functions_create(stand.allocator, &functions));
        assert_int_equal(functions->struct_size, sizeof *functions);
        body(&stand, functions);
        assert_int_equal(stats_of(stand.allocator).blocks.current, 0);
        EXPECT_OK(tarn_host_functions_release(functions));
        stand_close(&stand);
    }
}

static void keep_promises(test_stand *stand, tarn_host_functions *f) {
    void *c = f->context;
    unsigned char *a = f->allocate(c, 1000), *b = f->allocate(c, 0), *zeroed = f->allocate_zeroed(c, 25, 40);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_int_equal((uintptr_t)a % alignof(max_align_t), 0);
    assert_true(f->usable_size(c, a) >= 1000);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(zeroed[i], 0);
    for (size_t i = 0; i < 1000; i++) a[i] = (unsigned char)i;
    /* The contents move along, up and down. */
    for (size_t size = 1500; size < 3 * MIB; size *= 3) {
        a = f->reallocate(c, a, size);
        assert_non_null(a);
        for (size_t i = 0; i < 1000; i++) assert_int_equal(a[i], (unsigned char)i);
    }
    a = f->reallocate(c, a, 500);
    for (size_t i = 0; i < 500; i++) assert_int_equal(a[i], (unsigned char)i);
    assert_null(f->reallocate(c, a, 0));
    f->free(c, b);
    f->free(c, zeroed);
    f->free(c, NULL);
    b = f->reallocate(c, NULL, 10);
    assert_non_null(b);
    f->free(c, b);
    for (size_t alignment = 1; alignment <= 64 * KIB; alignment *= 2) {
        void *aligned = f->allocate_aligned(c, alignment, 100);
        assert_int_equal((uintptr_t)aligned % alignment, 0);
        f->free(c, aligned);
    }
    void *items = f->allocate_items(c, 7, 11);
    assert_true(f->usable_size(c, items) >= 77);
    f->free(c, items);
    (void)stand;
}

static void the_functions_keep_what_malloc_promises(void **state) {
    (void)state;
    on_each(keep_promises);
}

/* 13, 14, 15, 17: each is reported, and nothing else happens. */
static void misuse(test_stand *stand, tarn_host_functions *f) {
    void *c = f->context;
    char *live = f->allocate(c, 4096), *gone = f->allocate(c, 4096), local[64] = "untouched";
    tarn_buffer *buffer = take(stand, 4096, NULL);
    f->free(c, gone);
    void *wrong[] = {local, live + 1, live + 64, gone, tarn_buffer_data(buffer), (void *)(uintptr_t)8};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint64_t blocks = stats_of(stand->allocator).blocks.current;
        log_listen();
        f->free(c, wrong[i]);
        assert_non_null(strstr(log_heard(), "none of its pointers"));
        errno = 0;
        assert_null(f->reallocate(c, wrong[i], 100));
        assert_int_equal(errno, EINVAL);
        log_silence();
        assert_int_equal(f->usable_size(c, wrong[i]), 0);
        assert_int_equal(stats_of(stand->allocator).blocks.current, blocks);
    }
    assert_string_equal(local, "untouched");
    assert_true(f->usable_size(c, live) >= 4096);
    f->free(c, live);
    give(stand, buffer, NULL);
}

static void pointers_that_are_not_theirs_are_refused_and_never_followed(void **state) {
    (void)state;
    on_each(misuse);
}

static void ask_for_too_much(test_stand *stand, tarn_host_functions *f) {
    void *c = f->context;
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, SIZE_MAX - 63}; /* 2, 3 */
    char *live = f->allocate(c, 100);
    memset(live, 9, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        errno = 0;
        assert_null(f->allocate(c, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        assert_null(f->reallocate(c, live, sizes[i]));
        assert_null(f->allocate_zeroed(c, sizes[i], 2));
        assert_int_equal(live[99], 9);
    }
    /* 4 */
    assert_null(f->allocate_zeroed(c, SIZE_MAX / 4 + 2, 4));
    errno = 0;
    assert_null(f->allocate_aligned(c, 3, 8)); /* 9 */
    assert_int_equal(errno, EINVAL);
    assert_null(f->allocate_aligned(c, 0, 8));
    f->free(c, live);
    (void)stand;
}

static void sizes_that_do_not_fit_are_refused(void **state) {
    (void)state;
    on_each(ask_for_too_much);
}

/* zlib takes functions with a context. */
static void deflate_and_inflate(test_stand *stand, tarn_host_functions *f) {
    static unsigned char text[200000], packed[250000], unpacked[200000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)("a mountain pool"[i % 15] + (char)(i / 997 % 3));
    uint64_t before = stats_of(stand->allocator).allocations;
    z_stream stream = {.zalloc = f->allocate_items, .zfree = f->free, .opaque = f->context};
    assert_int_equal(deflateInit(&stream, 9), Z_OK);
    stream.next_in = text;
    stream.avail_in = sizeof text;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t length = stream.total_out;
    assert_int_equal(deflateEnd(&stream), Z_OK);
    stream = (z_stream){.zalloc = f->allocate_items, .zfree = f->free, .opaque = f->context};
    assert_int_equal(inflateInit(&stream), Z_OK);
    stream.next_in = packed;
    stream.avail_in = (uInt)length;
    stream.next_out = unpacked;
    stream.avail_out = sizeof unpacked;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    assert_memory_equal(text, unpacked, sizeof text);
    assert_true(stats_of(stand->allocator).allocations >= before + 4);
}

static void zlib_runs_on_them(void **state) {
    (void)state;
    on_each(deflate_and_inflate);
}

/* jansson takes functions without one: those of a slot. */
static void parse_and_print(test_stand *stand, tarn_host_functions *f) {
    tarn_plain_functions plain = {.struct_size = sizeof plain};
    EXPECT_OK(tarn_host_functions_bind(f, &plain));
    uint64_t before = stats_of(stand->allocator).allocations;
    json_malloc_t usual_malloc;
    json_free_t usual_free;
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    json_set_alloc_funcs(plain.allocate, plain.free);
    json_error_t error;
    json_t *document =
        json_loads("{\"pools\": [1, 2.5, \"tarn\", {\"deep\": [true, null]}], \"name\": \"mountain\"}", 0, &error);
    assert_non_null(document);
    for (int i = 0; i < 200; i++) json_array_append_new(json_object_get(document, "pools"), json_integer(i));
    char *text = json_dumps(document, JSON_COMPACT);
    json_t *again = json_loads(text, 0, &error);
    assert_true(json_equal(document, again));
    plain.free(text);
    json_decref(again);
    json_decref(document);
    json_set_alloc_funcs(usual_malloc, usual_free);
    assert_true(stats_of(stand->allocator).allocations > before + 200);
}

static void jansson_runs_on_them(void **state) {
    (void)state;
    on_each(parse_and_print);
}

static void a_process_has_eight_slots(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "cpu");
    tarn_host_functions *functions[TARN_HOST_SLOTS + 1];
    tarn_plain_functions plain[TARN_HOST_SLOTS + 1], again = {.struct_size = sizeof again};
    for (int i = 0; i <= TARN_HOST_SLOTS; i++) {
        EXPECT_OK(tarn_host_functions_create(stand.allocator, &functions[i]));
        plain[i] = (tarn_plain_functions){.struct_size = sizeof plain[i]};
        EXPECT(i < TARN_HOST_SLOTS ? TARN_OK : TARN_BUSY, tarn_host_functions_bind(functions[i], &plain[i]));
    }
    for (int i = 0; i < TARN_HOST_SLOTS; i++) {
        void *memory = plain[i].reallocate(plain[i].allocate_zeroed(3, 100), 400);
        assert_true(plain[i].usable_size(memory) >= 400);
        assert_true(functions[i]->usable_size(functions[i]->context, memory) >= 400);
        assert_int_equal(plain[(i + 1) % TARN_HOST_SLOTS].usable_size(memory), 0);
        plain[i].free(memory);
        EXPECT_OK(tarn_host_functions_bind(functions[i], &again));
        assert_ptr_equal(again.allocate, plain[i].allocate);
    }
    EXPECT_OK(tarn_host_functions_release(functions[3]));
    EXPECT_OK(tarn_host_functions_bind(functions[TARN_HOST_SLOTS], &plain[TARN_HOST_SLOTS]));
    assert_ptr_equal(plain[TARN_HOST_SLOTS].allocate, plain[3].allocate);
    for (int i = 0; i <= TARN_HOST_SLOTS; i++)
        if (i != 3) EXPECT_OK(tarn_host_functions_release(functions[i]));
    /* Who still calls them is told so. */
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    assert_null(plain[0].allocate(10));
    assert_null(plain[0].reallocate(&stand, 10));
    plain[0].free(&stand);
    assert_int_equal(plain[0].usable_size(&stand), 0);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_host_functions_bind(NULL, &plain[0]));
    stand_close(&stand);
}

/* 20 */
static void a_release_with_memory_left_reports_it(void **state) {
    (void)state;
    test_stand stand;
    tarn_host_functions *f = NULL;
    tarn_buffer *buffer = NULL;
    stand_open(&stand, "caching", "cpu");
    EXPECT_OK(tarn_host_functions_create(stand.allocator, &f));
    void *left = f->allocate(f->context, 1000);
    log_listen();
    EXPECT_OK(tarn_host_functions_release(f));
    log_silence();
    assert_non_null(strstr(log_heard(), "1 pointers"));
    EXPECT_OK(tarn_allocator_find(stand.allocator, left, &buffer));
    give(&stand, buffer, NULL);
    EXPECT_OK(tarn_host_functions_release(NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_host_functions_create(NULL, &f));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_host_functions_create(stand.allocator, NULL));
    stand_close(&stand);
    stand_open(&stand, "caching", "sim:1GiB");
    f = NULL;
    EXPECT(TARN_NOT_SUPPORTED, tarn_host_functions_create(stand.allocator, &f));
    assert_null(f);
    stand_close(&stand);
}

static void use_functions_under_a_shortage(test_stand *stand) {
    tarn_host_functions *f = NULL;
    void *memory[100] = {NULL};
    tarn_status status = tarn_host_functions_create(stand->allocator, &f);
    if (status != TARN_OK) assert_int_equal(status, TARN_OUT_OF_MEMORY);
    for (size_t i = 0; i < 100 && f != NULL; i++) memory[i] = f->allocate(f->context, 64);
    trial_shortage_ends();
    if (f == NULL) EXPECT_OK(tarn_host_functions_create(stand->allocator, &f));
    for (size_t i = 0; i < 100; i++) {
        if (memory[i] == NULL) memory[i] = f->allocate(f->context, 64);
        assert_non_null(memory[i]);
        f->free(f->context, memory[i]);
    }
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    EXPECT_OK(tarn_host_functions_release(f));
}

static atomic_bool binding_ends;

static void *bind_again_and_again(void *context) {
    tarn_plain_functions plain = {.struct_size = sizeof plain};
    while (!atomic_load(&binding_ends)) (void)tarn_host_functions_bind(context, &plain);
    return NULL;
}

/* 37: the lock of the slots may be held by another thread when the process is forked. */
static void a_child_binds_although_a_thread_did_at_the_fork(void **state) {
    (void)state;
    test_stand stand;
    tarn_host_functions *functions = NULL;
    pthread_t threads[2];
    int worst = 0;
    stand_open(&stand, "direct", "cpu");
    EXPECT_OK(tarn_host_functions_create(stand.allocator, &functions));
    atomic_store(&binding_ends, false);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, bind_again_and_again, functions), 0);
    for (unsigned i = 0; i < 100 / test_slowness() && worst == 0; i++) {
        pid_t child = fork();
        if (child == 0) {
            child_begin();
            _exit(tarn_host_functions_release(functions) == TARN_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &worst, 0), child);
    }
    atomic_store(&binding_ends, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(worst, 0);
    EXPECT_OK(tarn_host_functions_release(functions));
    stand_close(&stand);
}

static void every_request_for_host_memory_fails(void **state) {
    (void)state;
    assert_true(trial_of_each_shortage("caching", "cpu", use_functions_under_a_shortage) > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_functions_keep_what_malloc_promises),
        cmocka_unit_test(pointers_that_are_not_theirs_are_refused_and_never_followed),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(zlib_runs_on_them),
        cmocka_unit_test(jansson_runs_on_them),
        cmocka_unit_test(a_process_has_eight_slots),
        cmocka_unit_test(a_release_with_memory_left_reports_it),
        cmocka_unit_test(a_child_binds_although_a_thread_did_at_the_fork),
        cmocka_unit_test(every_request_for_host_memory_fails),
    };
    return cmocka_run_group_tests_name("memory host functions", tests, NULL, NULL);
}
