/* Kernels: what a build that fails says, where compiled ones are kept, and what becomes of those that are damaged. */
#include "device.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

/* One kernel's work on a tensor: the status. */
static tarn_status negate(tarn_device *device, float *out_element) {
    tarn_allocator *allocator = NULL;
    tarn_tensor *x = NULL, *y = NULL;
    tarn_status status = tarn_allocator_create(device, "direct", &allocator);
    const float values[3] = {1, 2, 3};
    float back[3] = {0};
    if (status == TARN_OK) status = tarn_tensor_from_data(allocator, SHAPE(3), TARN_ELEMENT_F32, values, NULL, &x);
    if (status == TARN_OK) status = tarn_unary(TARN_OPERATION_NEG, x, NULL, &y);
    if (status == TARN_OK) status = tarn_tensor_read(y, NULL, back, sizeof back);
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    tarn_tensor_release(x);
    tarn_tensor_release(y);
    tarn_allocator_release(allocator);
    if (status != TARN_OK) print_message("%s\n", sentence);
    *out_element = back[2];
    return status;
}

/* Files of compiled kernels in the folder, and the path of the last. */
static int count_files(const char *folder, char *out_path, size_t capacity) {
    char path[4096];
    snprintf(path, sizeof path, "%s/tarn/opencl", folder);
    DIR *stream = opendir(path);
    int count = 0;
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        if (strstr(entry->d_name, ".bin") == NULL) continue;
        snprintf(out_path, capacity, "%s/%s", path, entry->d_name);
        count++;
    }
    if (stream != NULL) closedir(stream);
    return count;
}

static int negate_once(void) {
    tarn_device *device = NULL;
    float element = 0;
    if (tarn_device_open("opencl:0", &device) != TARN_OK) return 1;
    tarn_status status = negate(device, &element);
    if (tarn_device_release(device) != TARN_OK || status != TARN_OK) return 2;
    return element == -3 ? 0 : 3;
}

/* The first process compiles, the second finds what the first kept, a third a damaged file. */
static int keep_kernels(void *context) {
    char path[8192];
    const char *folder = context;
    setenv("XDG_CACHE_HOME", folder, 1);
    if (!has_opencl()) return 0;
    if (negate_once() != 0 || count_files(folder, path, sizeof path) != 1) return 1;
    if (negate_once() != 0 || count_files(folder, path, sizeof path) != 1) return 2;
    struct stat before, after;
    if (stat(path, &before) != 0 || truncate(path, before.st_size - 100) != 0) return 3;
    if (negate_once() != 0) return 4;
    if (stat(path, &after) != 0 || after.st_size < before.st_size - 50) return 5;
    unlink(path);
    for (int i = 0; i < 2; i++) {
        *strrchr(path, '/') = '\0';
        rmdir(path);
    }
    return 0;
}

static void compiled_kernels_are_kept_and_damaged_ones_made_anew(void **state) { /* fault 52 */
    (void)state;
    char folder[] = "/tmp/tarn-kernels-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(exit_of_child(keep_kernels, folder), 0);
    assert_int_equal(rmdir(folder), 0);
}

static int complaints;

static void count_complaints(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    if (strstr(sentence, "cannot be kept in /dev/null/tarn/opencl") != NULL) complaints++;
}

static int compile_without_folder(void *context) {
    (void)context;
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    if (!has_opencl()) return 0;
    tarn_log_set(count_complaints, NULL, TARN_LOG_WARNING);
    if (negate_once() != 0) return 1;
    return complaints == 1 ? 0 : 2;
}

static void a_folder_that_cannot_be_written_costs_one_warning(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(compile_without_folder, NULL), 0);
}

/* Each call that compiles or launches fails once; the operation says so, and works when it is tried again. */
static int fail_to_compile(void *context) {
    static const char *const faults[] = {"clCreateProgramWithSource:1", "clBuildProgram:1", "clCreateKernel:1",
                                         "clSetKernelArg:1", "clEnqueueNDRangeKernel:1"};
    (void)context;
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    tarn_log_set(count_complaints, NULL, TARN_LOG_WARNING);
    if (open_faulty_driver() != 0) return 1;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        tarn_device *device = NULL;
        float element = 0;
        if (tarn_device_open("opencl:0", &device) != TARN_OK) return 2;
        set_fault(faults[i]);
        tarn_status failed = negate(device, &element);
        set_fault("");
        tarn_status worked = negate(device, &element);
        if (tarn_device_release(device) != TARN_OK) return 3;
        if (failed == TARN_OK || worked != TARN_OK || element != -3) {
            print_error("%s: %s, then %s\n", faults[i], tarn_status_name(failed), tarn_status_name(worked));
            return 4;
        }
    }
    return 0;
}

static void a_failure_to_compile_or_launch_is_told_and_passes(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(fail_to_compile, NULL), 0);
}

static int long_logs;

static void count_long_logs(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    if (strstr(sentence, "the OpenCL compiler of w") != NULL) long_logs++;
}

/* Texts are as long as the driver likes: a name is cut off, and a log tells its beginning. */
static int build_with_many_words(void *context) {
    (void)context;
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    if (open_faulty_driver() != 0) return 1;
    tarn_device *device = NULL;
    float element = 0;
    set_fault("words:0");
    if (tarn_device_open("opencl:0", &device) != TARN_OK) return 2;
    tarn_log_set(count_long_logs, NULL, TARN_LOG_WARNING);
    tarn_status failed = negate(device, &element);
    bool is_told = long_logs == 1 && strstr(tarn_last_error(), "(CL_BUILD_PROGRAM_FAILURE): wwww") != NULL;
    set_fault("");
    tarn_status worked = negate(device, &element);
    if (tarn_device_release(device) != TARN_OK) return 3;
    return failed != TARN_OK && is_told && worked == TARN_OK && element == -3 ? 0 : 4;
}

static void a_name_and_a_log_may_be_of_any_length(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(build_with_many_words, NULL), 0);
}

int main(void) {
    if (!has_faulty_driver()) return EXIT_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiled_kernels_are_kept_and_damaged_ones_made_anew),
        cmocka_unit_test(a_folder_that_cannot_be_written_costs_one_warning),
        cmocka_unit_test(a_failure_to_compile_or_launch_is_told_and_passes),
        cmocka_unit_test(a_name_and_a_log_may_be_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
