/* Operands for tests of what the cpu device computes. */
#include "operands.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/onednn.h"
#include "base/half.h"

#define MOST_OPERANDS 256

static void *memories[MOST_OPERANDS];
static size_t memory_count;
static uint64_t seed = 0x9e3779b97f4a7c15u;
static tarn_device *device;

/* Between -1 and 1. */
static double random_number(void) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (double)(int64_t)(seed * 0x2545f4914f6cdd1du) * 0x1p-63;
}

/* Strides for the layout, with the elements that they take. */
static int64_t lay_out(uint32_t rank, const int64_t *dims, layout form, int64_t *out_strides) {
    uint32_t order[TARN_MAXIMUM_RANK]; /* from the dimension that lies closest on */
    for (uint32_t i = 0; i < rank; i++) order[i] = form == LAYOUT_REVERSED ? i : rank - 1 - i;
    if (form == LAYOUT_TRANSPOSED && rank > 1) {
        order[0] = rank - 2;
        order[1] = rank - 1;
    }
    int64_t size = form == LAYOUT_SPREAD ? 2 : 1;
    for (uint32_t i = 0; i < rank; i++) {
        out_strides[order[i]] = size;
        size *= dims[order[i]];
        if (i == 0 && form >= LAYOUT_SPREAD) size += 3;
    }
    return size;
}

static void *allocate(size_t bytes) {
    assert_true(memory_count < MOST_OPERANDS);
    void *memory = malloc(bytes);
    assert_non_null(memory);
    memories[memory_count++] = memory;
    return memory;
}

tarn_operand operand_make(tarn_element_type type, uint32_t rank, const int64_t *dims, layout form) {
    tarn_operand operand = {.type = type, .rank = rank};
    memcpy(operand.dims, dims, rank * sizeof *dims);
    int64_t size = lay_out(rank, dims, form, operand.strides);
    size_t bytes = (size_t)size * tarn_element_size(type);
    char *memory = allocate(bytes);
    memset(memory, 0x7f, bytes);
    operand.data = memory;
    if (form == LAYOUT_BACKWARDS) {
        operand.data = memory + (size_t)(dims[rank - 1] - 1) * tarn_element_size(type);
        operand.strides[rank - 1] = -1;
    }
    bool is_integer = type > TARN_ELEMENT_F64;
    int64_t index[TARN_MAXIMUM_RANK] = {0};
    do operand_set(&operand, index, is_integer ? round(fabs(random_number()) * 8) : random_number());
    while (next_index(rank, dims, index));
    return operand;
}

void operands_free(void) {
    while (memory_count > 0) free(memories[--memory_count]);
}

static void *address_of(const tarn_operand *operand, const int64_t *index) {
    int64_t offset = 0;
    for (uint32_t i = 0; i < operand->rank; i++) offset += index[i] * operand->strides[i];
    return (char *)operand->data + offset * (int64_t)tarn_element_size(operand->type);
}

double operand_get(const tarn_operand *operand, const int64_t *index) {
    const void *at = address_of(operand, index);
    switch (operand->type) {
    case TARN_ELEMENT_F32: return (double)*(const float *)at;
    case TARN_ELEMENT_F16: return (double)float_of_half(*(const uint16_t *)at);
    case TARN_ELEMENT_BF16: return (double)float_of_brain(*(const uint16_t *)at);
    case TARN_ELEMENT_F64: return *(const double *)at;
    case TARN_ELEMENT_I8: return (double)*(const int8_t *)at;
    case TARN_ELEMENT_I16: return (double)*(const int16_t *)at;
    case TARN_ELEMENT_I32: return (double)*(const int32_t *)at;
    case TARN_ELEMENT_I64: return (double)*(const int64_t *)at;
    default: return (double)*(const uint8_t *)at;
    }
}

void operand_set(const tarn_operand *operand, const int64_t *index, double value) {
    void *at = address_of(operand, index);
    switch (operand->type) {
    case TARN_ELEMENT_F32: *(float *)at = (float)value; break;
    case TARN_ELEMENT_F16: *(uint16_t *)at = half_of_float((float)value); break;
    case TARN_ELEMENT_BF16: *(uint16_t *)at = brain_of_float((float)value); break;
    case TARN_ELEMENT_F64: *(double *)at = value; break;
    case TARN_ELEMENT_I8: *(int8_t *)at = (int8_t)value; break;
    case TARN_ELEMENT_I16: *(int16_t *)at = (int16_t)value; break;
    case TARN_ELEMENT_I32: *(int32_t *)at = (int32_t)value; break;
    case TARN_ELEMENT_I64: *(int64_t *)at = (int64_t)value; break;
    default: *(uint8_t *)at = (uint8_t)value; break;
    }
}

void operand_fill(const tarn_operand *operand, double value) {
    int64_t index[TARN_MAXIMUM_RANK] = {0};
    do operand_set(operand, index, value);
    while (next_index(operand->rank, operand->dims, index));
}

double *operand_values(const tarn_operand *operand) {
    size_t count = 1, i = 0;
    for (uint32_t dim = 0; dim < operand->rank; dim++) count *= (size_t)operand->dims[dim];
    double *values = allocate(count * sizeof *values);
    int64_t index[TARN_MAXIMUM_RANK] = {0};
    do values[i++] = operand_get(operand, index);
    while (next_index(operand->rank, operand->dims, index));
    return values;
}

int next_index(uint32_t rank, const int64_t *dims, int64_t *index) {
    for (uint32_t i = rank; i-- > 0;) {
        if (++index[i] < dims[i]) return 1;
        index[i] = 0;
    }
    return 0;
}

double type_precision(tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_F32: return 0x1p-24;
    case TARN_ELEMENT_F16: return 0x1p-11;
    case TARN_ELEMENT_BF16: return 0x1p-8;
    case TARN_ELEMENT_F64: return 0x1p-53;
    default: return 0;
    }
}

void assert_near(double got, double expected, double size, double errors, tarn_element_type type) {
    if (isnan(expected) && isnan(got)) return;
    if (isinf(expected) && got == expected) return;
    /* The smallest numbers of a type have fewer digits. */
    double smallest = type == TARN_ELEMENT_F16 ? 0x1p-25 : 0;
    if (fabs(got - expected) <= errors * type_precision(type) * size + smallest) return;
    print_error("%.17g where %.17g is expected\n", got, expected);
    fail();
}

void at_each_level(void (*body)(void)) {
    /* Where everything takes longer, the best level alone. */
    size_t count = cpu_kernels_level_count();
    for (size_t i = getenv("TARN_TEST_SLOWNESS") != NULL ? count - 1 : 0; i < count; i++) {
        cpu_kernels_use(cpu_kernels_level(i));
        body();
    }
    cpu_kernels_use(NULL);
}

void with_each_engine(void (*body)(void)) {
    cpu_onednn_use(CPU_ONEDNN_NONE);
    at_each_level(body);
    cpu_onednn_use(CPU_ONEDNN_ALL);
    if (cpu_onednn_is_there()) body();
    else print_message("oneDNN is not here, or turned off: only Tarn's own kernels are tested\n");
    cpu_onednn_use(CPU_ONEDNN_LARGE);
}

int operands_setup(void **state) {
    (void)state;
    return tarn_device_open("cpu", &device) != TARN_OK;
}

int operands_teardown(void **state) {
    (void)state;
    tarn_device_release(device);
    return 0;
}
