/* The sources of all programs, and of the short modules of kernels, are compiled without complaint by NVRTC, where
 * TARN_TEST_NVRTC says that it is meant to be. Nothing is run: no driver and no GPU is needed. */
#include "forms.h"

#include <stdio.h>
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

/* All programs in one text, each in a namespace of its own under a name of its own: NVRTC then begins once, which takes it longer than a program. */
static char *join_sources(void) {
    size_t length = 0;
    char *joined = NULL;
    FILE *file = open_memstream(&joined, &length);
    assert_non_null(file);
    fputs("#include \"generated.cuh\"\n", file);
    for (size_t i = 0; i < form_count(); i++) {
        form_program made;
        cuda_program program;
        cuda_form form;
        form_make(i, &made);
        cuda_program_make(&made.operation, &program);
        cuda_form_make(&program, &made.program, false, &form);
        char *source = cuda_form_write(&form);
        assert_non_null(source);
        fprintf(file,
                "namespace program_%zu {\n#define tarn_generated tarn_generated_%zu\n%s}\n#undef tarn_generated\n", i,
                i, source);
        base_free(source);
    }
    assert_int_equal(fclose(file), 0);
    return joined;
}

static void programs_compile(void **state) {
    (void)state;
    need_compiler();
    char *joined = join_sources();
    compile("programs", joined);
    free(joined);
}

/* Of the modules those that are short: what is repeated for more types and steps takes NVRTC half a minute, and includes what these and programs
 * include. */
static void kernels_compile(void **state) {
    (void)state;
    static const char *const modules[] = {"copies.cu", "gather.cu", "pooling.cu", "product.cu", "program.cu"};
    need_compiler();
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        size_t number = 0;
        while (number < cuda_source_count && strcmp(cuda_sources[number].name, modules[i]) != 0) number++;
        assert_true(number < cuda_source_count);
        compile(modules[i], cuda_sources[number].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(programs_compile), cmocka_unit_test(kernels_compile)};
    return cmocka_run_group_tests(tests, begin, NULL);
}
