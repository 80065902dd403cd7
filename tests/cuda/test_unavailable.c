/* Drivers that cannot be used: the backend is listed as unavailable with the reason, nothing stays loaded, and the cpu works. Each case in a
 * child of its own, since a backend starts once in a process. */
#include "gpu.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The environment of a child, and what it is to be told. */
typedef struct driver_case {
    const char *variable, *value;
    const char *reason; /* part of the sentence */
    bool has_started;   /* cuInit was called */
} driver_case;

static int find_backend(void *context) {
    const driver_case *it = context;
    setenv(it->variable, it->value, 1);
    tarn_backend_info info = {.struct_size = sizeof info};
    tarn_device *device = NULL;
    if (tarn_backend_find("cuda", &info) != TARN_OK) return 1;
    if (info.is_available || info.device_count != 0) return 2;
    if (strstr(info.reason, it->reason) == NULL) {
        print_error("\"%s\" does not contain \"%s\"\n", info.reason, it->reason);
        return 3;
    }
    if (tarn_device_open("cuda:0", &device) != TARN_UNAVAILABLE || device != NULL) return 4;
    if (strstr(tarn_last_error(), it->reason) == NULL) return 5;
    /* Where the driver was given up, it is not in the process any more; one that has started stays. */
    if (!it->has_started && fake_cuda_find() != NULL) return 6;
    if (tarn_device_open("cpu", &device) != TARN_OK) return 7;
    return tarn_device_release(device) == TARN_OK ? 0 : 8;
}

static void expect_unavailable(const char *variable, const char *value, const char *reason) {
    driver_case it = {variable, value, reason, false};
    assert_int_equal(exit_of_child(find_backend, &it), 0);
}

static void expect_no_start(const char *variable, const char *value, const char *reason) {
    driver_case it = {variable, value, reason, true};
    assert_int_equal(exit_of_child(find_backend, &it), 0);
}

static void a_missing_library_is_named(void **state) { /* fault 32 */
    (void)state;
    expect_unavailable("TARN_CUDA_DRIVER", "libno-such-driver.so.1", "libno-such-driver.so.1");
}

static void a_library_that_is_no_driver_is_refused(void **state) { /* fault 34 */
    (void)state;
    expect_unavailable("TARN_CUDA_DRIVER", "libm.so.6", "no function cuDriverGetVersion");
}

/* An object file's header for a machine of `class` bits and of that kind. */
static void write_library(const char *path, unsigned char class, unsigned char machine) {
    unsigned char header[4096] = {0x7f, 'E', 'L', 'F', class, 1, 1};
    header[16] = 3; /* a shared object */
    header[18] = machine;
    header[20] = 1;
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, header, sizeof header), sizeof header);
    close(file);
}

static void a_library_for_another_machine_is_refused(void **state) { /* fault 33 */
    (void)state;
    char path[] = "/tmp/tarn-driver-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    enum { BITS_32 = 1, BITS_64 = 2, I386 = 3, SPARC_V9 = 43 };
    write_library(path, BITS_32, I386);
    expect_unavailable("TARN_CUDA_DRIVER", path, path);
    write_library(path, BITS_64, SPARC_V9);
    expect_unavailable("TARN_CUDA_DRIVER", path, path);
    assert_int_equal(truncate(path, 10), 0);
    expect_unavailable("TARN_CUDA_DRIVER", path, path);
    unlink(path);
}

static void a_driver_that_is_too_old_tells_its_version(void **state) {
    (void)state;
    gpu_need_fake();
    expect_unavailable("FAKECUDA_VERSION", "11080", "offers CUDA 11.8, and 12.0 is the least");
    expect_unavailable("FAKECUDA_VERSION", "0", "does not say its version");
}

static void a_function_that_is_missing_is_named(void **state) { /* fault 34 */
    (void)state;
    gpu_need_fake();
    static const char *const names[] = {
#define CUDA_SYMBOL(name, parameters) #name,
#include "backends/cuda/driver_symbols.h"
#undef CUDA_SYMBOL
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        expect_unavailable("FAKECUDA_MISSING", names[i], names[i]);
    print_message("%zu functions of the driver were missing, one after the other\n", sizeof names / sizeof names[0]);
}

static void a_machine_without_a_device_is_told(void **state) {
    (void)state;
    gpu_need_fake();
    expect_no_start("FAKECUDA_DEVICES", "0", "no device");
}

static void a_driver_that_does_not_start_tells_its_error(void **state) {
    (void)state;
    gpu_need_fake();
    expect_no_start("FAKECUDA_FAULT", "cuInit:1:CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
                    "cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)");
    expect_no_start("FAKECUDA_FAULT", "cuInit:1:CUDA_ERROR_UNKNOWN", "CUDA_ERROR_UNKNOWN (999)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_library_is_named),
        cmocka_unit_test(a_library_that_is_no_driver_is_refused),
        cmocka_unit_test(a_library_for_another_machine_is_refused),
        cmocka_unit_test(a_driver_that_is_too_old_tells_its_version),
        cmocka_unit_test(a_function_that_is_missing_is_named),
        cmocka_unit_test(a_machine_without_a_device_is_told),
        cmocka_unit_test(a_driver_that_does_not_start_tells_its_error),
    };
    return cmocka_run_group_tests_name("drivers that cannot be used", tests, NULL, NULL);
}
