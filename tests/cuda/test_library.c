/* NVIDIA's libraries beside the driver: which file is taken where there are several. */
#include "gpu.h"

#include <stdio.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "backends/cuda/operations/library.h"

static char told[256]; /* the last sentence that was logged */

static void note(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    snprintf(told, sizeof told, "%s", sentence);
}

/* A library of a later CUDA can be opened beside an older driver, and then does nothing there. */
static void a_library_that_the_driver_is_too_old_for_is_passed_over(void **state) {
    (void)state;
    const struct {
        int driver;
        const char *sentence;
    } cases[] = {{13000, "cuda: the library is libm.so.6"},
                 {13010, "cuda: the library is libm.so.6"},
                 {12090, "cuda: the library is libc.so.6"}};
    static const char *const symbols[] = {"strlen"};
    const cuda_library library = {.name = "the library",
                                  .setting = "TARN_TEST_NO_SUCH_SETTING",
                                  .instead = "nothing happens",
                                  .files = {{"libm.so.6", 13000}, {"libc.so.6", 0}},
                                  .symbols = symbols,
                                  .symbol_count = 1};
    tarn_device *device = gpu_open();
    const int version = cuda_driver_version;
    tarn_log_set(note, NULL, TARN_LOG_INFO);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t (*length)(const char *text) = NULL;
        cuda_driver_version = cases[i].driver;
        assert_true(cuda_library_open(&library, &length));
        assert_string_equal(told, cases[i].sentence);
        assert_int_equal(length("five."), 5);
    }
    cuda_driver_version = version;
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    gpu_close(device);
}

static void a_library_without_a_function_is_not_used(void **state) {
    (void)state;
    static const char *const symbols[] = {"strlen", "no_such_function"};
    const cuda_library library = {.name = "the library",
                                  .setting = "TARN_TEST_NO_SUCH_SETTING",
                                  .instead = "nothing happens",
                                  .files = {{"libc.so.6", 0}},
                                  .symbols = symbols,
                                  .symbol_count = 2};
    void *functions[2];
    tarn_device *device = gpu_open();
    tarn_log_set(note, NULL, TARN_LOG_WARNING);
    assert_false(cuda_library_open(&library, functions));
    assert_string_equal(told,
                        "cuda: the library is not used: libc.so.6 has no function no_such_function; nothing happens");
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    gpu_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_that_the_driver_is_too_old_for_is_passed_over),
        cmocka_unit_test(a_library_without_a_function_is_not_used),
    };
    return cmocka_run_group_tests_name("libraries beside the driver", tests, NULL, NULL);
}
