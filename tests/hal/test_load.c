/* Loading backends from shared objects: the whole one works, every broken one is refused whole and closed again. */
#include "check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* The path of a plug-in that the build made, in a buffer that the next call overwrites. */
static const char *plugin(const char *name) {
    static char path[4096];
    const char *build = getenv("TARN_BUILD_DIR");
    snprintf(path, sizeof path, "%s/tests/plugins/libtarn-%s.so", build != NULL ? build : ".", name);
    return path;
}

static int skip_without_plugins(void **state) {
    (void)state;
    if (access(plugin("whole"), R_OK) == 0) return 0;
    print_message("skipped: there are no plug-ins at %s; run by ctest, which says where the build is\n",
                  plugin("whole"));
    skip();
    return 0;
}

static int is_loaded(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (library != NULL) dlclose(library);
    return library != NULL;
}

static void a_whole_backend_is_loaded_once(void **state) {
    (void)state;
    assert_ok(tarn_backend_load(plugin("whole")));
    tarn_backend_info info = {.struct_size = sizeof info};
    assert_ok(tarn_backend_find("whole", &info));
    assert_int_equal(info.is_available, 1);
    assert_string_equal(info.shared_object, plugin("whole"));
    tarn_device *device = NULL;
    assert_ok(tarn_device_open("whole:0", &device));
    assert_string_equal(tarn_device_name(device), "whole:0");
    assert_ok(tarn_device_release(device));
    assert_fails(tarn_backend_load(plugin("whole")), TARN_ALREADY_EXISTS);
}

static void a_file_that_is_not_there_is_unavailable_and_cpu_works(void **state) { /* fault 32 */
    (void)state;
    assert_fails(tarn_backend_load("/nowhere/libtarn-absent.so"), TARN_UNAVAILABLE);
    assert_sentence("/nowhere/libtarn-absent.so");
    assert_fails(tarn_backend_load("libtarn-absent.so"), TARN_UNAVAILABLE);
    assert_fails(tarn_backend_load("/"), TARN_UNAVAILABLE);
    assert_sentence("not a file");
    assert_fails(tarn_backend_load(""), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_backend_load(NULL), TARN_INVALID_ARGUMENT);
    tarn_device *device = NULL;
    assert_ok(tarn_device_open("cpu", &device));
    assert_ok(tarn_device_release(device));
}

/* Writes `size` bytes to a new file whose name replaces `path`. */
static void write_file(char *path, const char *bytes, size_t size) {
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), (ssize_t)size);
    close(file);
}

static void an_object_for_another_machine_is_unavailable(void **state) { /* fault 33 */
    (void)state;
    static char bytes[1 << 20];
    FILE *whole = fopen(plugin("whole"), "rb");
    assert_non_null(whole);
    size_t size = fread(bytes, 1, sizeof bytes, whole);
    fclose(whole);
    assert_true(size > 64);
    bytes[18] = (char)0xf3; /* e_machine: RISC-V, or a machine that nobody built */
    bytes[19] = 0x7f;
    char path[] = "/tmp/tarn-foreign-XXXXXX";
    write_file(path, bytes, size);
    assert_fails(tarn_backend_load(path), TARN_UNAVAILABLE);
    unlink(path);

    char truncated[] = "/tmp/tarn-truncated-XXXXXX";
    write_file(truncated, bytes, 40);
    assert_fails(tarn_backend_load(truncated), TARN_UNAVAILABLE);
    unlink(truncated);
}

static void broken_backends_are_refused_and_closed(void **state) { /* faults 33 and 34 */
    (void)state;
    static const struct {
        const char *name;
        tarn_status status;
        const char *sentence;
    } broken[] = {
        {"without-table", TARN_INVALID_ARGUMENT, "tarn_backend_table"},
        {"wrong-version", TARN_INVALID_ARGUMENT, "ABI version 999"},
        {"without-function", TARN_INVALID_ARGUMENT, "stream_wait"},
        {"too-short", TARN_INVALID_ARGUMENT, "8 bytes"},
        {"unresolved", TARN_UNAVAILABLE, "a_function_that_no_library_has"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *path = plugin(broken[i].name);
        assert_fails(tarn_backend_load(path), broken[i].status);
        assert_sentence(broken[i].sentence);
        assert_sentence(broken[i].name);
        assert_false(is_loaded(path));
        tarn_backend_info info = {.struct_size = sizeof info};
        assert_fails(tarn_backend_find(broken[i].name, &info), TARN_NOT_FOUND);
    }
}

static int complaints;
static char last_complaint[1024];

static void note_complaint(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    complaints++;
    snprintf(last_complaint, sizeof last_complaint, "%s", sentence);
}

/* In a child whose registry is untouched: the path is read at first use. */
static int use_path(void *context) {
    const char *build = getenv("TARN_BUILD_DIR");
    char value[8192];
    (void)context;
    snprintf(value, sizeof value, "%s/tests/plugins/path::/nowhere/libtarn-lost.so", build);
    setenv("TARN_BACKEND_PATH", value, 1);
    tarn_log_set(note_complaint, NULL, TARN_LOG_WARNING);
    tarn_backend_info info = {.struct_size = sizeof info};
    if (tarn_backend_find("first", &info) != TARN_OK || tarn_backend_find("second", &info) != TARN_OK) return 1;
    if (tarn_backend_find("broken", &info) != TARN_NOT_FOUND) return 2;
    if (tarn_backend_find("cpu", &info) != TARN_OK) return 3;
    if (complaints != 1) return 4;
    if (strstr(last_complaint, "ABI version 999") == NULL || strstr(last_complaint, "libtarn-lost.so") == NULL)
        return 5;
    return 0;
}

static void the_path_is_loaded_at_first_use_with_one_complaint(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(use_path, NULL), 0);
}

/* The k-th request for host memory fails; loading again then works. */
static int load_without_memory(void *context) {
    (void)context;
    for (unsigned long k = 1; k < 100; k++) {
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_backend_load(plugin("whole"));
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) return requests < k ? 0 : 1;
        if (status != TARN_OUT_OF_MEMORY) return 2;
    }
    return 3;
}

static void loading_survives_every_failed_request_for_memory(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(load_without_memory, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* The first two need a process that has not used Tarn: they run in children of this one. */
        cmocka_unit_test_setup(the_path_is_loaded_at_first_use_with_one_complaint, skip_without_plugins),
        cmocka_unit_test_setup(loading_survives_every_failed_request_for_memory, skip_without_plugins),
        cmocka_unit_test_setup(a_whole_backend_is_loaded_once, skip_without_plugins),
        cmocka_unit_test(a_file_that_is_not_there_is_unavailable_and_cpu_works),
        cmocka_unit_test_setup(an_object_for_another_machine_is_unavailable, skip_without_plugins),
        cmocka_unit_test_setup(broken_backends_are_refused_and_closed, skip_without_plugins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
