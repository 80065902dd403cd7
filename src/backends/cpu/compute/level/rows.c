/* Rows of elements: loops that the compiler turns into vectors. */
#include "backends/cpu/compute/level/level.h"

/* Elements that are brought side by side at a time. */
#define BUFFERED 64

/* Elements of 16 bits whose distance is not 1 are brought side by side first. */
static void load_floats(tarn_element_type type, const void *source, int64_t stride, size_t count, float *out_values) {
    ptrdiff_t step = (ptrdiff_t)stride;
    if (type == TARN_ELEMENT_F32) {
        const float *from = source;
        if (step == 1) memcpy(out_values, from, count * sizeof *from);
        else
            for (size_t i = 0; i < count; i++) out_values[i] = from[(ptrdiff_t)i * step];
        return;
    }
    cpu_kernel *load = AT_LEVEL(cpu_conversions).loads[type];
    const uint16_t *from = source;
    if (step == 1) {
        load(out_values, from, NULL, NULL, count);
        return;
    }
    for (size_t begin = 0; begin < count; begin += BUFFERED) {
        uint16_t elements[BUFFERED];
        size_t length = count - begin < BUFFERED ? count - begin : BUFFERED;
        for (size_t i = 0; i < length; i++) elements[i] = from[(ptrdiff_t)(begin + i) * step];
        load(out_values + begin, elements, NULL, NULL, length);
    }
}

static void store_floats(tarn_element_type type, void *destination, int64_t stride, size_t count, const float *values) {
    ptrdiff_t step = (ptrdiff_t)stride;
    if (type == TARN_ELEMENT_F32) {
        float *to = destination;
        if (step == 1) memcpy(to, values, count * sizeof *to);
        else
            for (size_t i = 0; i < count; i++) to[(ptrdiff_t)i * step] = values[i];
        return;
    }
    cpu_kernel *store = AT_LEVEL(cpu_conversions).stores[type];
    uint16_t *to = destination;
    if (step == 1) {
        store(to, values, NULL, NULL, count);
        return;
    }
    for (size_t begin = 0; begin < count; begin += BUFFERED) {
        uint16_t elements[BUFFERED];
        size_t length = count - begin < BUFFERED ? count - begin : BUFFERED;
        store(elements, values + begin, NULL, NULL, length);
        for (size_t i = 0; i < length; i++) to[(ptrdiff_t)(begin + i) * step] = elements[i];
    }
}

static void load_doubles(const void *source, int64_t stride, size_t count, double *out_values) {
    const double *from = source;
    for (size_t i = 0; i < count; i++) out_values[i] = from[(ptrdiff_t)i * (ptrdiff_t)stride];
}

static void store_doubles(void *destination, int64_t stride, size_t count, const double *values) {
    double *to = destination;
    for (size_t i = 0; i < count; i++) to[(ptrdiff_t)i * (ptrdiff_t)stride] = values[i];
}

/* One panel. Where members lie side by side, the places along the inner dimension are copied one by one; elsewhere the members are. */
static void pack_float_panel(tarn_element_type type, const char *source, int64_t member_stride, int64_t inner_stride,
                             size_t members, size_t inners, size_t width, float *packed) {
    int64_t size = (int64_t)tarn_element_size(type);
    if (members < width) memset(packed, 0, width * inners * sizeof *packed);
    if (member_stride == 1 || inner_stride != 1) {
        for (size_t inner = 0; inner < inners; inner++)
            load_floats(type, source + (int64_t)inner * inner_stride * size, member_stride, members,
                        packed + inner * width);
        return;
    }
    for (size_t member = 0; member < members; member++) {
        const char *from = source + (int64_t)member * member_stride * size;
        for (size_t begin = 0; begin < inners; begin += BUFFERED) {
            float values[BUFFERED];
            size_t count = inners - begin < BUFFERED ? inners - begin : BUFFERED;
            load_floats(type, from + (int64_t)begin * size, 1, count, values);
            for (size_t i = 0; i < count; i++) packed[(begin + i) * width + member] = values[i];
        }
    }
}

static void pack_floats(tarn_element_type type, const void *source, int64_t member_stride, int64_t inner_stride,
                        size_t members, size_t inners, size_t width, float *packed) {
    int64_t size = (int64_t)tarn_element_size(type);
    for (size_t member = 0; member < members; member += width) {
        size_t count = members - member < width ? members - member : width;
        pack_float_panel(type, (const char *)source + (int64_t)member * member_stride * size, member_stride,
                         inner_stride, count, inners, width, packed);
        packed += width * inners;
    }
}

static void pack_doubles(const double *source, int64_t member_stride, int64_t inner_stride, size_t members,
                         size_t inners, size_t width, double *packed) {
    ptrdiff_t along = (ptrdiff_t)member_stride, inward = (ptrdiff_t)inner_stride;
    for (size_t member = 0; member < members; member += width) {
        for (size_t inner = 0; inner < inners; inner++) {
            const double *from = source + (ptrdiff_t)inner * inward + (ptrdiff_t)member * along;
            for (size_t i = 0; i < width; i++)
                packed[inner * width + i] = member + i < members ? from[(ptrdiff_t)i * along] : 0;
        }
        packed += width * inners;
    }
}

const cpu_rows AT_LEVEL(cpu_rows) = {
    .load_floats = load_floats,
    .store_floats = store_floats,
    .load_doubles = load_doubles,
    .store_doubles = store_doubles,
    .pack_floats = pack_floats,
    .pack_doubles = pack_doubles,
};
