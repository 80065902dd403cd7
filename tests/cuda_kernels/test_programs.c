/* Programs compiled for their steps give what the interpreter gives, bit for bit, on whatever device cuda:0 is. */
#include "elements.h"
#include "forms.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "bench.h"
#include "fake_cuda.h"
#include "hal/memory.h"
#include "hal/operation.h"

static tarn_device *device;
static tarn_stream *stream;

static unsigned warnings;

static void hear(void *context, tarn_log_level level, const char *message) {
    (void)context;
    if (level < TARN_LOG_WARNING) return;
    print_message("%s\n", message);
    warnings++;
}

static char cache[512], command[4096]; /* the cache's folder; FAKECUDA_COMPILE as it was at the beginning */

static void open_again(void) {
    if (device != NULL) EXPECT_OK(tarn_device_release(device));
    device = NULL;
    tarn_status status = tarn_device_open("cuda:0", &device);
    if (status == TARN_UNAVAILABLE) {
        print_message("skipped: %s\n", tarn_last_error());
        return;
    }
    EXPECT_OK(status);
    stream = tarn_device_default_stream(device);
}

static int open_device(void **state) {
    (void)state;
    const char *place = getenv("TMPDIR");
    snprintf(cache, sizeof cache, "%s/programs-XXXXXX", place != NULL ? place : "/tmp");
    assert_non_null(mkdtemp(cache));
    setenv("TARN_CACHE_PATH", cache, 1);
    const char *own = getenv("FAKECUDA_COMPILE");
    snprintf(command, sizeof command, "%s", own != NULL ? own : "");
    tarn_log_set(hear, NULL, TARN_LOG_WARNING);
    open_again();
    return 0;
}

static int close_device(void **state) {
    (void)state;
    if (device != NULL) EXPECT_OK(tarn_device_release(device));
    char line[600];
    snprintf(line, sizeof line, "rm -rf '%s'", cache);
    assert_int_equal(system(line), 0);
    const fake_cuda *fake = fake_cuda_find();
    const char *sentence;
    if (fake != NULL && fake->violations(&sentence) != 0) fail_msg("the driver was used wrongly: %s", sentence);
    return 0;
}

static void need_device(void) {
    if (device == NULL) skip();
}

static void run(const form_program *form, const char *compile) {
    setenv("TARN_CUDA_COMPILE", compile, 1);
    EXPECT_OK(hal_operation_enqueue(stream, &form->operation));
    EXPECT_OK(tarn_stream_synchronize(stream));
}

/* Runs the program in both ways, into memory of its own each time, and compares. */
static void try(size_t number) {
    form_program form;
    form_make(number, &form);
    const uint32_t outputs = form.operation.output_count, count = outputs + form.operation.input_count;
    void *memory[2 * TARN_PROGRAM_MAXIMUM_OPERANDS] = {NULL};
    size_t sizes[2 * TARN_PROGRAM_MAXIMUM_OPERANDS] = {0};
    /* The operands, then the outputs once more. */
    for (uint32_t i = 0; i < count + outputs; i++) {
        tarn_operand *operand = &form.operands[i < count ? i : i - count];
        memory[i] = take_operand(device, operand, &sizes[i]);
        if (i < outputs || i >= count) memset(memory[i], 0, sizes[i]);
        else fill_elements(operand->type, memory[i], sizes[i]);
        if (i < count) operand->data = memory[i];
    }
    run(&form, "never");
    for (uint32_t i = 0; i < outputs; i++) form.operands[i].data = memory[count + i];
    run(&form, "always");
    for (uint32_t i = 0; i < outputs; i++)
        expect_same_elements(form.operands[i].type, memory[count + i], memory[i], sizes[i], form.name);
    for (uint32_t i = 0; i < count + outputs; i++)
        EXPECT_OK(hal_memory_free(device, TARN_MEMORY_PINNED, memory[i], sizes[i]));
}

/* Each program, or one of five where everything takes longer. */
static size_t step(void) { return getenv("TARN_TEST_SLOWNESS") != NULL ? 5 : 1; }

static void programs_give_the_same_compiled_and_interpreted(void **state) {
    (void)state;
    need_device();
    warnings = 0;
    for (size_t i = 0; i < form_count(); i += step()) try(i);
    assert_int_equal(warnings, 0);
}

/* The name of a file of the cache, of which there is one at least. */
static void find_file(char *out_path, size_t capacity) {
    DIR *folder = opendir(cache);
    assert_non_null(folder);
    struct dirent *entry;
    do {
        entry = readdir(folder);
        assert_non_null(entry);
    } while (entry->d_name[0] == '.');
    snprintf(out_path, capacity, "%s/%s", cache, entry->d_name);
    closedir(folder);
}

/* From here on the compiler of the tests would fail, which would be warned of. */
static void forbid_compiling(void) {
    if (fake_cuda_find() == NULL) {
        print_message("skipped: the driver is a real one\n");
        skip();
    }
    setenv("FAKECUDA_COMPILE", "false", 1);
}

static void what_was_compiled_is_read_from_the_disk(void **state) {
    (void)state;
    need_device();
    forbid_compiling();
    open_again();
    warnings = 0;
    for (size_t i = 0; i < form_count(); i += 5 * step()) try(i);
    assert_int_equal(warnings, 0);
    setenv("FAKECUDA_COMPILE", command, 1);
}

static void a_damaged_file_is_compiled_again(void **state) {
    (void)state;
    need_device();
    char path[1024], before[64], after[64];
    struct stat facts;
    warnings = 0;
    /* One file alone, so that it is known which one is damaged. */
    char line[600];
    snprintf(line, sizeof line, "rm -rf '%s'/*", cache);
    assert_int_equal(system(line), 0);
    open_again();
    try(0);
    find_file(path, sizeof path);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stat(path, &facts), 0);
        FILE *file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fread(before, 1, sizeof before, file), sizeof before);
        if (i == 0) assert_int_equal(ftruncate(fileno(file), facts.st_size - 3), 0);
        /* The last byte, or the first. */
        if (i > 0) assert_int_equal(fseek(file, i == 1 ? -1 : 0, i == 1 ? SEEK_END : SEEK_SET), 0);
        if (i > 0) assert_int_not_equal(fputc('#', file), EOF);
        fclose(file);
        open_again();
        try(0);
        struct stat mended;
        assert_int_equal(stat(path, &mended), 0);
        assert_int_equal(mended.st_size, facts.st_size);
        file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fread(after, 1, sizeof after, file), sizeof after);
        fclose(file);
        assert_memory_equal(before, after, 20);
    }
    assert_int_equal(warnings, 0);
}

static void a_program_that_cannot_be_compiled_is_interpreted_and_told_once(void **state) {
    (void)state;
    need_device();
    forbid_compiling();
    open_again();
    warnings = 0;
    for (int i = 0; i < 3; i++) try(1);
    assert_int_equal(warnings, 1);
    setenv("FAKECUDA_COMPILE", command, 1);
}

static void a_cache_that_cannot_be_written_does_no_harm_and_is_told_once(void **state) {
    (void)state;
    need_device();
    setenv("TARN_CACHE_PATH", "/dev/null/cache", 1);
    open_again();
    warnings = 0;
    try(0);
    try(form_count() - 1);
    assert_int_equal(warnings, 1);
    setenv("TARN_CACHE_PATH", cache, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_give_the_same_compiled_and_interpreted),
        cmocka_unit_test(what_was_compiled_is_read_from_the_disk),
        cmocka_unit_test(a_damaged_file_is_compiled_again),
        cmocka_unit_test(a_program_that_cannot_be_compiled_is_interpreted_and_told_once),
        cmocka_unit_test(a_cache_that_cannot_be_written_does_no_harm_and_is_told_once),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
