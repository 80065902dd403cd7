/* Memory between processes by handles, and what a fork and an exit leave of the plug-in. On `cpu`, whose kind `shared` is real. */
#include "torch_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "child.h"
#include "torch/native.h"

static char bytes[TARN_TORCH_HANDLE_SIZE];
static size_t handle_size;
static uint64_t offset;

/* Another process, forked before this one opened a device, which waits for a handle. */
static pid_t reader;
static int to_reader;

static int wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_descriptors(void) {
    int count = 0;
    for (int i = 0; i < 256; i++) count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* Opens memory of the parent's, reads it and writes it. */
static int read_and_write(int pipe) {
    char *opened = NULL, *again = NULL;
    if (read(pipe, &handle_size, sizeof handle_size) != (ssize_t)sizeof handle_size ||
        read(pipe, &offset, sizeof offset) != (ssize_t)sizeof offset ||
        read(pipe, bytes, handle_size) != (ssize_t)handle_size)
        return 4;
    if (tarn_torch_open_shared(0, bytes, handle_size, (void **)&opened) != TARN_OK) return 1;
    if (tarn_torch_open_shared(0, bytes, handle_size, (void **)&again) != TARN_OK || again != opened) return 2;
    tarn_torch_close_shared(again);
    if (strcmp(opened + offset, "from the parent") != 0) return 3;
    strcpy(opened + offset, "from the child");
    tarn_torch_close_shared(opened);
    return 0;
}

static void memory_of_the_kind_shared_is_opened_by_another_process(void **state) {
    (void)state;
    char *pointer = tarn_torch_malloc(4096, 0, NULL), *beside = tarn_torch_malloc(4096, 0, NULL);
    strcpy(pointer, "from the parent");
    strcpy(beside, "untouched");
    int before = open_descriptors();
    assert_int_equal(tarn_torch_share(pointer, bytes, &handle_size, &offset), TARN_OK);
    assert_int_equal(tarn_torch_share(pointer, bytes, &handle_size, &offset), TARN_OK);
    assert_int_equal(open_descriptors(), before + 1);
    assert_int_equal(write(to_reader, &handle_size, sizeof handle_size), sizeof handle_size);
    assert_int_equal(write(to_reader, &offset, sizeof offset), sizeof offset);
    assert_int_equal(write(to_reader, bytes, handle_size), handle_size);
    assert_int_equal(wait_for(reader), 0);
    assert_string_equal(pointer, "from the child");
    assert_string_equal(beside, "untouched");
    tarn_torch_free(pointer, 4096, 0, NULL);
    tarn_torch_free(beside, 4096, 0, NULL);
    assert_int_equal(open_descriptors(), before);
    /* What was freed is not to be had any more. */
    void *opened = NULL;
    tarn_status status = tarn_torch_open_shared(0, bytes, handle_size, &opened);
    assert_true(status == TARN_NOT_FOUND || status == TARN_INVALID_ARGUMENT);
    assert_null(opened);
}

static void what_is_no_handle_is_refused(void **state) {
    (void)state;
    void *opened = NULL, *pointer = tarn_torch_malloc(4096, 0, NULL);
    assert_int_equal(tarn_torch_share(&opened, bytes, &handle_size, &offset), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_torch_share((char *)pointer + 8, bytes, &handle_size, &offset), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_torch_share(pointer, bytes, &handle_size, &offset), TARN_OK);
    char changed[TARN_TORCH_HANDLE_SIZE];
    assert_int_equal(tarn_torch_open_shared(0, bytes, handle_size - 1, &opened), TARN_INVALID_ARGUMENT);
    for (size_t i = 0; i < handle_size; i += 4) {
        memcpy(changed, bytes, sizeof changed);
        changed[i] = (char)(changed[i] ^ 0x55);
        if (tarn_torch_open_shared(0, changed, handle_size, &opened) == TARN_OK) tarn_torch_close_shared(opened);
    }
    memcpy(changed, bytes, sizeof changed);
    changed[8] = 77;
    assert_int_equal(tarn_torch_open_shared(0, changed, handle_size, &opened), TARN_INVALID_ARGUMENT);
    changed[8] = 2; /* a handle of a driver that is not there */
    assert_int_equal(tarn_torch_open_shared(0, changed, handle_size, &opened), TARN_INVALID_ARGUMENT);
    tarn_torch_close_shared(&opened);
    tarn_torch_free(pointer, 4096, 0, NULL);
}

static void memory_of_another_kind_says_what_to_take(void **state) {
    (void)state;
    setenv("TARN_TORCH_ALLOCATOR", "caching", 1);
    setenv("TARN_TORCH_DEVICE", "sim:{}GiB", 1);
    void *pointer = tarn_torch_malloc(4096, 1, NULL);
    setenv("TARN_TORCH_DEVICE", "cpu", 1);
    setenv("TARN_TORCH_ALLOCATOR", "caching:kind=shared", 1);
    assert_int_equal(tarn_torch_share(pointer, bytes, &handle_size, &offset), TARN_NOT_SUPPORTED);
    assert_non_null(strstr(tarn_torch_last_error(), "caching:kind=shared"));
    tarn_torch_free(pointer, 4096, 1, NULL);
}

static void each_lack_of_host_memory_leaves_no_handle(void **state) {
    (void)state;
    void *pointer = tarn_torch_malloc(4096, 0, NULL), *opened = NULL;
    int before = open_descriptors();
    tarn_status status = TARN_OUT_OF_MEMORY;
    for (unsigned long n = 1; status != TARN_OK; n++) {
        base_memory_fail_at(n, 0);
        status = tarn_torch_share(pointer, bytes, &handle_size, &offset);
        base_memory_fail_at(0, 0);
        assert_true(status == TARN_OK || status == TARN_OUT_OF_MEMORY);
    }
    status = TARN_OUT_OF_MEMORY;
    for (unsigned long n = 1; status != TARN_OK; n++) {
        base_memory_fail_at(n, 0);
        status = tarn_torch_open_shared(0, bytes, handle_size, &opened);
        base_memory_fail_at(0, 0);
        assert_true(status == TARN_OK || status == TARN_OUT_OF_MEMORY);
    }
    tarn_torch_close_shared(opened);
    tarn_torch_free(pointer, 4096, 0, NULL);
    assert_int_equal(open_descriptors(), before);
}

/* Forks. */

static atomic_bool is_over;

static void *work(void *context) {
    (void)context;
    while (!atomic_load(&is_over)) {
        void *pointer = tarn_torch_malloc(1000, 0, NULL);
        tarn_torch_record_stream(pointer, &is_over);
        tarn_torch_free(pointer, 1000, 0, NULL);
    }
    return NULL;
}

/* valgrind counts as lost, in a child that ends, what only the parent can give back. */
static void skip_on_valgrind(void) {
    if (getenv("TARN_TEST_ON_VALGRIND") == NULL) return;
    print_message("skipped: valgrind holds it against a forked child that it leaves the driver's side to its parent\n");
    skip();
}

/* Whatever the other thread held at the fork, the child can go on: it reads, frees and asks. What needs the device is refused it. */
static int go_on(void *pointer) {
    void *opened;
    tarn_torch_stats stats;
    if (strcmp(pointer, "inherited") != 0) return 1;
    tarn_torch_free(pointer, 100, 0, NULL);
    if (tarn_torch_allocate(GIB, 0, NULL, &opened) == TARN_OK) return 2;
    return tarn_torch_stats_get(0, &stats) == TARN_OK ? 0 : 3;
}

static void a_child_frees_what_it_has_inherited(void **state) {
    (void)state;
    skip_on_valgrind();
    char *pointer = tarn_torch_malloc(100, 0, NULL);
    strcpy(pointer, "inherited");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            child_begin(); /* a child that finds a lock taken would wait for good */
            _exit(go_on(pointer));
        }
        assert_int_equal(wait_for(child), 0);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    tarn_torch_free(pointer, 100, 0, NULL);
}

/* As a program's static destructors do, after main has ended. */
static void *freed_at_exit;
static void free_at_exit(void) { tarn_torch_free(freed_at_exit, 1000, 0, NULL); }

static void memory_is_freed_while_the_process_ends(void **state) {
    (void)state;
    skip_on_valgrind();
    pid_t child = fork();
    if (child == 0) {
        if (atexit(free_at_exit) != 0) _exit(1);
        freed_at_exit = tarn_torch_malloc(1000, 0, NULL);
        (void)tarn_torch_malloc(1000, 0, NULL); /* left alive */
        exit(freed_at_exit != NULL ? 0 : 2);
    }
    assert_int_equal(wait_for(child), 0);
}

int main(void) {
    setenv("TARN_TORCH_DEVICE", "cpu", 1);
    setenv("TARN_TORCH_ALLOCATOR", "caching:kind=shared", 1);
    /* A child fetches descriptors of its parent's here, which some systems forbid unless they are told that it may. */
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    int pipes[2];
    if (pipe(pipes) != 0) return 1;
    reader = fork();
    if (reader == 0) {
        close(pipes[1]);
        _exit(read_and_write(pipes[0]));
    }
    close(pipes[0]);
    to_reader = pipes[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_the_kind_shared_is_opened_by_another_process),
        cmocka_unit_test(what_is_no_handle_is_refused),
        cmocka_unit_test(memory_of_another_kind_says_what_to_take),
        cmocka_unit_test(each_lack_of_host_memory_leaves_no_handle),
        cmocka_unit_test(a_child_frees_what_it_has_inherited),
        cmocka_unit_test(memory_is_freed_while_the_process_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
