/* Reductions of one operand run by kernels that are there before, and give what the interpreter gives, bit for bit: all types and operations, over rows
 * and columns that begin anywhere, runs apart, and reductions long enough to be cut into slices.
 *
 * The interpreter is given the same step twice, which makes a program of two steps. */
#include "elements.h"
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "bench.h"
#include "hal/types.h"
#include "kernel_device.h"

#define ROOM ((size_t)40960) /* elements that an operand's memory has */

static kernel_device cuda;
static void *in, *out; /* for the widest elements */

/* A way for the input to lie, in elements, and which dimensions are reduced. */
typedef struct layout {
    const char *name;
    uint32_t rank;
    int64_t dims[3], strides[3];
    int64_t begin;
    uint32_t reduced; /* bits */
} layout;

static const layout layouts[] = {
    {"all of one element", 1, {1}, {1}, 0, 1},
    {"all of five elements", 1, {5}, {1}, 3, 1},
    {"all, cut into slices", 1, {30011}, {1}, 5, 1},
    {"all, apart and in slices", 1, {9001}, {3}, 0, 1},
    {"short rows", 2, {77, 3}, {3, 1}, 0, 2},
    {"aligned rows", 2, {9, 256}, {256, 1}, 0, 2},
    {"rows that begin anywhere", 2, {7, 613}, {617, 1}, 1, 2},
    {"rows of two warps and more", 2, {3, 2900}, {2900, 1}, 0, 2},
    {"rows in runs", 3, {9, 5, 67}, {350, 67, 1}, 2, 5},
    {"rows in few long runs, in slices", 3, {2, 2, 8009}, {17000, 8009, 1}, 0, 5},
    {"rows apart, backwards", 2, {4, 130}, {300, -2}, 270, 2},
    {"one element for all of a row", 2, {6, 40}, {1, 0}, 0, 2},
    {"aligned columns", 2, {37, 96}, {96, 1}, 0, 1},
    {"many columns of few", 2, {3, 2048}, {2048, 1}, 0, 1},
    {"columns that begin anywhere", 2, {41, 29}, {31, 1}, 3, 1},
    {"columns in slices", 2, {9000, 4}, {4, 1}, 0, 1},
    {"columns in slices that begin anywhere", 2, {9000, 3}, {3, 1}, 1, 1},
    {"columns in planes", 3, {5, 33, 48}, {1600, 48, 1}, 0, 2},
    {"columns over the first and the second", 3, {5, 33, 24}, {800, 24, 1}, 0, 3},
};
/* Rows enough for all multiprocessors, where there is one. */
static const layout many_rows = {"many rows", 2, {128, 300}, {301, 1}, 1, 2};
#define LAYOUTS (sizeof layouts / sizeof layouts[0])

static int open_device(void **state) {
    (void)state;
    setenv("TARN_CUDA_COMPILE", "never", 1);
    kernel_device_open(&cuda, ROOM * 8);
    in = cuda.memory[0];
    out = cuda.memory[1];
    return 0;
}

static int close_device(void **state) {
    (void)state;
    kernel_device_close(&cuda);
    return 0;
}

typedef struct trial {
    tarn_operation operation;
    tarn_element_type taken, given;
} trial;

/* Ones and minus ones, and sometimes a two or a half, whose products are exact in any order. */
static void fill_factors(tarn_element_type type, void *bytes, size_t size) {
    static const float singles[] = {1, -1, 1, -1, 2, 0.5f};
    static const uint16_t halves[2][6] = {{0x3c00, 0xbc00, 0x3c00, 0xbc00, 0x4000, 0x3800},
                                          {0x3f80, 0xbf80, 0x3f80, 0xbf80, 0x4000, 0x3f00}};
    if (type > TARN_ELEMENT_F64) {
        fill_elements(type, bytes, size);
        return;
    }
    for (size_t i = 0; i < size / tarn_element_size(type); i++) {
        const size_t number = i % 1009 < 2 ? 4 + i % 2 : i * 7 / 3 % 4;
        const double wide = (double)singles[number];
        if (type == TARN_ELEMENT_F64) memcpy((char *)bytes + i * 8, &wide, 8);
        else if (type == TARN_ELEMENT_F32) memcpy((char *)bytes + i * 4, &singles[number], 4);
        else memcpy((char *)bytes + i * 2, &halves[type == TARN_ELEMENT_BF16][number], 2);
    }
}

/* Leaves the outputs at the beginning of `out`, in rows. Answers how many there are. */
static size_t run(const trial *tried, const layout *way, unsigned steps) {
    form_program form;
    memset(&form, 0, sizeof form);
    form.operands[0] = (tarn_operand){.type = tried->given, .rank = way->rank, .data = out};
    form.operands[1] = (tarn_operand){.type = tried->taken,
                                      .rank = way->rank,
                                      .data = (char *)in + (size_t)way->begin * tarn_element_size(tried->taken)};
    int64_t outputs = 1;
    for (uint32_t d = way->rank; d-- > 0;) {
        const bool is_reduced = (way->reduced >> d & 1) != 0;
        form.operands[0].dims[d] = form.operands[1].dims[d] = way->dims[d];
        form.operands[0].strides[d] = is_reduced ? 0 : outputs;
        form.operands[1].strides[d] = way->strides[d];
        if (!is_reduced) outputs *= way->dims[d];
    }
    for (unsigned i = 0; i < steps; i++) {
        form.steps[i] = (tarn_step){.operation = TARN_OPERATION_COPY, .type = tried->given};
        form.steps[i].values[0] = (tarn_value){i == 0 ? TARN_SOURCE_INPUT : TARN_SOURCE_STEP, 0};
    }
    form.results[0] = (uint16_t)(steps - 1);
    form.program = (tarn_program){.steps = form.steps,
                                  .step_count = steps,
                                  .results = form.results,
                                  .reduction = tried->operation,
                                  .reduced_dims = way->reduced};
    form.operation = (tarn_backend_operation){.struct_size = sizeof form.operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .operands = form.operands,
                                              .output_count = 1,
                                              .input_count = 1,
                                              .program = &form.program};
    kernel_device_run(&cuda, &form.operation);
    return (size_t)outputs;
}

static void try(const trial *tried, const layout *way) {
    static char expected[ROOM * 8];
    char name[160];
    snprintf(name, sizeof name, "%s of %s to %s, %s", tarn_operation_name(tried->operation),
             tarn_element_name(tried->taken), tarn_element_name(tried->given), way->name);
    const size_t given = tarn_element_size(tried->given), taken = tarn_element_size(tried->taken);
    if (tried->operation == TARN_OPERATION_PROD) fill_factors(tried->taken, in, ROOM * taken);
    else fill_elements(tried->taken, in, ROOM * taken);
    memset(out, 0x11, ROOM * given);
    const size_t outputs = run(tried, way, 2);
    memcpy(expected, out, (outputs + 1) * given);
    memset(out, 0x11, ROOM * given);
    run(tried, way, 1);
    expect_same_elements(tried->given, out, expected, outputs * given, name);
    /* What lies behind the outputs is as it was. */
    assert_memory_equal((char *)out + outputs * given, expected + outputs * given, given);
}

static void try_all(tarn_operation operation, tarn_element_type taken, tarn_element_type given) {
    const trial tried = {operation, taken, given};
    const size_t step = getenv("TARN_TEST_SLOWNESS") != NULL ? 19 : 1;
    for (size_t i = ((size_t)operation * 4 + taken) % step; i < LAYOUTS; i += step) try(&tried, &layouts[i]);
}

static void reductions_give_what_the_interpreter_gives(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    static const tarn_operation operations[] = {TARN_OPERATION_SUM, TARN_OPERATION_MEAN, TARN_OPERATION_PROD,
                                                TARN_OPERATION_MAX, TARN_OPERATION_MIN};
    for (unsigned type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
        const tarn_element_type each = (tarn_element_type)type;
        const bool is_float = each <= TARN_ELEMENT_F64;
        for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
            const tarn_operation operation = operations[i];
            const bool is_total = operation == TARN_OPERATION_SUM || operation == TARN_OPERATION_PROD;
            if (!is_float && operation == TARN_OPERATION_MEAN) continue;
            try_all(operation, each, !is_float && is_total ? TARN_ELEMENT_I64 : each);
        }
    }
}

static driver_result (*launch_kernel)(driver_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                      driver_stream stream, void **parameters, void **extra);
static unsigned long long most_threads;

static driver_result note_launch(driver_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                 unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                 driver_stream stream, void **parameters, void **extra) {
    const unsigned long long threads = 1ull * grid_x * grid_y * grid_z * block_x * block_y * block_z;
    if (threads > most_threads) most_threads = threads;
    return launch_kernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, parameters,
                         extra);
}

/* So a thread keeps as much in flight as it can, where there is no want of threads. */
static void many_rows_have_fewer_threads_each(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    tarn_backend_device *handle = cuda.device->handle;
    const trial sums = {TARN_OPERATION_SUM, TARN_ELEMENT_F32, TARN_ELEMENT_F32},
                most = {TARN_OPERATION_MAX, TARN_ELEMENT_I16, TARN_ELEMENT_I16};
    const int units = handle->compute_units;
    unsigned long long threads[2];
    launch_kernel = cuda_driver.cuLaunchKernel;
    cuda_driver.cuLaunchKernel = note_launch;
    for (int i = 0; i < 2; i++) {
        handle->compute_units = i == 0 ? units : 1;
        most_threads = 0;
        (void)run(&sums, &many_rows, 1);
        threads[i] = most_threads;
    }
    cuda_driver.cuLaunchKernel = launch_kernel;
    try(&sums, &many_rows);
    try(&most, &many_rows);
    handle->compute_units = units;
    assert_int_equal(threads[0], 128 * 64);
    assert_int_equal(threads[1], 128 * 32);
}

static void halves_can_become_floats(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    try_all(TARN_OPERATION_SUM, TARN_ELEMENT_F16, TARN_ELEMENT_F32);
    try_all(TARN_OPERATION_MEAN, TARN_ELEMENT_BF16, TARN_ELEMENT_F32);
}

/* Integers that wrap at each element before they are added: that is another program. */
static void sums_of_what_is_cast_to_less_are_computed_too(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    try_all(TARN_OPERATION_SUM, TARN_ELEMENT_I64, TARN_ELEMENT_I8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_give_what_the_interpreter_gives),
        cmocka_unit_test(many_rows_have_fewer_threads_each),
        cmocka_unit_test(halves_can_become_floats),
        cmocka_unit_test(sums_of_what_is_cast_to_less_are_computed_too),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
