/* Elements of all types, as tests of kernels fill and compare them. */
#ifndef ELEMENTS_H
#define ELEMENTS_H

#include <stddef.h>

#include <tarn/backend_operations.h>
#include <tarn/tarn.h>

/* Numbers between -4 and 4 in floats, whose halves are made of their sign, their lowest bits and an exponent of about nought; any bytes in integers. */
void fill_elements(tarn_element_type type, void *bytes, size_t size);
/* A place for the operand in pinned memory, which the host and the device see; free it with hal_memory_free. */
void *take_operand(tarn_device *device, const tarn_operand *operand, size_t *out_size);
/* Fails the test unless both are the same bits, or both no numbers; `name` is told. */
void expect_same_elements(tarn_element_type type, const void *have, const void *want, size_t size, const char *name);

#endif
