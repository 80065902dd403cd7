/* Gathers of slices of all widths, aligned and not, which kernels move in elements of 1 to 16 bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/backend_operations.h>
#include <tarn/tarn.h>

#include "bench.h"
#include "kernel_device.h"

#define ROOM 16384
#define SLICES 11
#define COUNT 6

static kernel_device cuda;
static unsigned char *out, *in;
static int32_t *indices;

static int open_device(void **state) {
    (void)state;
    kernel_device_open(&cuda, ROOM);
    if (cuda.device == NULL) return 0;
    out = cuda.memory[0];
    in = cuda.memory[1];
    indices = cuda.memory[2];
    for (int i = 0; i < ROOM; i++) in[i] = (unsigned char)(i * 31 + i / 251);
    memcpy(indices, (const int32_t[]){3, 0, -1, 10, 3, 7}, COUNT * sizeof *indices);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    kernel_device_close(&cuda);
    return 0;
}

/* A table of slices of `width` elements, `apart` from one to the next, that begins `begins` elements behind an aligned place. */
static void try(tarn_element_type type, int64_t width, int64_t apart, int64_t begins) {
    const size_t size = tarn_element_size(type);
    unsigned char *first = in + (size_t)begins * size;
    tarn_operand operands[3] = {
        {.type = type, .rank = 2, .data = out, .dims = {COUNT, width}, .strides = {width, 1}},
        {.type = type, .rank = 2, .data = first, .dims = {SLICES, width}, .strides = {apart, 1}},
        {.type = TARN_ELEMENT_I32, .rank = 1, .data = indices, .dims = {COUNT}, .strides = {1}},
    };
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_GATHER,
                                        .operands = operands,
                                        .output_count = 1,
                                        .input_count = 2};
    memset(out, 0x11, ROOM);
    kernel_device_run(&cuda, &operation);
    for (size_t i = 0; i < COUNT; i++) {
        size_t slice = (size_t)(indices[i] < 0 ? indices[i] + SLICES : indices[i]);
        assert_memory_equal(out + i * (size_t)width * size, first + slice * (size_t)apart * size, (size_t)width * size);
    }
    for (size_t i = COUNT * (size_t)width * size; i < COUNT * (size_t)width * size + 32; i++)
        assert_int_equal(out[i], 0x11);
}

static void slices_of_all_widths_are_gathered(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    static const tarn_element_type types[] = {TARN_ELEMENT_U8, TARN_ELEMENT_F16, TARN_ELEMENT_F32, TARN_ELEMENT_F64};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (int64_t width = 1; width <= 49; width += width < 9 ? 1 : 4) {
            try(types[i], width, width, 0);
            try(types[i], width, width + 1, 0);
            try(types[i], width, width + width % 2 + 2, 2);
            try(types[i], width, 64, 1);
        }
        try(types[i], 48, 64, 0);
        try(types[i], 64, 64, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(slices_of_all_widths_are_gathered)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
