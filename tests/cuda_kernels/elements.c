/* Filling and comparing elements. */
#include "elements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/operation.h"
#include "bench.h"
#include "hal/memory.h"

static uint64_t seed = 1;

static uint64_t next_random(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

void fill_elements(tarn_element_type type, void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        uint64_t random = next_random();
        ((unsigned char *)bytes)[i] = (unsigned char)(type == TARN_ELEMENT_BOOL ? random & 1 : random);
    }
    for (size_t i = 0; i + 8 <= size && type == TARN_ELEMENT_F64; i += 8) {
        double value = ((double)next_random() - (double)(1 << 30)) / (1 << 28);
        memcpy((char *)bytes + i, &value, sizeof value);
    }
    for (size_t i = 0; i + 4 <= size && type == TARN_ELEMENT_F32; i += 4) {
        float value = ((float)next_random() - (float)(1 << 30)) / (1 << 28);
        memcpy((char *)bytes + i, &value, sizeof value);
    }
    /* The sign, the lowest bits, and an exponent of about nought. */
    for (size_t i = 0; i + 2 <= size && (type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16); i += 2) {
        uint16_t half;
        memcpy(&half, (char *)bytes + i, sizeof half);
        half = (uint16_t)((half & 0x80ff) | (type == TARN_ELEMENT_F16 ? 0x3c00 : 0x3f80));
        memcpy((char *)bytes + i, &half, sizeof half);
    }
}

void *take_operand(tarn_device *device, const tarn_operand *operand, size_t *out_size) {
    const void *begin;
    void *memory;
    base_operand_range(operand, &begin, out_size);
    EXPECT_OK(hal_memory_allocate(device, TARN_MEMORY_PINNED, *out_size, 256, &memory));
    return memory;
}

static bool is_nan(tarn_element_type type, const void *element) {
    uint64_t word = 0;
    memcpy(&word, element, tarn_element_size(type));
    switch (type) {
    case TARN_ELEMENT_F32: return (word & 0x7fffffff) > 0x7f800000;
    case TARN_ELEMENT_F16: return (word & 0x7fff) > 0x7c00;
    case TARN_ELEMENT_BF16: return (word & 0x7fff) > 0x7f80;
    case TARN_ELEMENT_F64: return (word & INT64_MAX) > 0x7ff0000000000000u;
    default: return false;
    }
}

void expect_same_elements(tarn_element_type type, const void *have, const void *want, size_t size, const char *name) {
    size_t element = tarn_element_size(type);
    for (size_t at = 0; at < size; at += element) {
        const char *first = (const char *)have + at, *second = (const char *)want + at;
        if (memcmp(first, second, element) == 0 || (is_nan(type, first) && is_nan(type, second))) continue;
        fail_msg("%s: byte %zu differs", name, at);
    }
}
