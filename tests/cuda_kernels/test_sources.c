/* The sources of all programs, and those of the kernels that are there before, are compiled without complaint by NVRTC, where
 * TARN_TEST_NVRTC says that it is meant to be. Nothing is run: no driver and no GPU is needed. */
#include "forms.h"

#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

#include "backends/cuda/operations/generate.h"
#include "backends/cuda/operations/image.h"
#include "base/memory.h"
#include "bench.h"

static char architecture[64];

static int begin(void **state) {
    (void)state;
    /* The compiler says why it is not there by way of the backend, which is started now; there need not be a driver. */
    tarn_backend_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_backend_find("cuda", &info));
    if (getenv("TARN_TEST_NVRTC") == NULL || !cuda_compiler_is_there()) return 0;
    struct tarn_backend_device device = {.major = 9, .minor = 0};
    cuda_compiler_architecture(&device, architecture, sizeof architecture);
    return 0;
}

static void need_compiler(void) {
    if (architecture[0] != '\0') return;
    print_message("skipped: TARN_TEST_NVRTC names no NVRTC\n");
    skip();
}

static void compile(const char *name, const char *text) {
    cuda_binary binary = {NULL, 0};
    EXPECT_OK(cuda_compiler_run(name, text, architecture, &binary));
    assert_true(binary.size > 0);
    base_free(binary.bytes);
}

static void programs_compile(void **state) {
    (void)state;
    need_compiler();
    for (size_t i = 0; i < form_count(); i++) {
        form_program made;
        cuda_program program;
        cuda_form form;
        form_make(i, &made);
        cuda_program_make(&made.operation, &program);
        cuda_form_make(&program, &made.program, false, &form);
        char *source = cuda_form_write(&form);
        assert_non_null(source);
        compile(made.name, source);
        base_free(source);
    }
}

static void kernels_compile(void **state) {
    (void)state;
    need_compiler();
    for (size_t i = 0; i < cuda_source_count; i++)
        if (strcmp(cuda_sources[i].name, "all.cu") == 0) compile("all.cu", cuda_sources[i].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(programs_compile), cmocka_unit_test(kernels_compile)};
    return cmocka_run_group_tests(tests, begin, NULL);
}
