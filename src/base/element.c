/* Element types: their names and sizes. On the lowest floor, since backends ask too. */
#include <tarn/shape.h>

static const struct {
    const char *name;
    size_t size;
} element_types[TARN_ELEMENT_TYPE_COUNT] = {
    [TARN_ELEMENT_F32] = {"f32", 4},   [TARN_ELEMENT_F16] = {"f16", 2}, [TARN_ELEMENT_BF16] = {"bf16", 2},
    [TARN_ELEMENT_F64] = {"f64", 8},   [TARN_ELEMENT_I8] = {"i8", 1},   [TARN_ELEMENT_U8] = {"u8", 1},
    [TARN_ELEMENT_I16] = {"i16", 2},   [TARN_ELEMENT_I32] = {"i32", 4}, [TARN_ELEMENT_I64] = {"i64", 8},
    [TARN_ELEMENT_BOOL] = {"bool", 1},
};

size_t tarn_element_size(tarn_element_type type) {
    return (unsigned)type < TARN_ELEMENT_TYPE_COUNT ? element_types[type].size : 0;
}

const char *tarn_element_name(tarn_element_type type) {
    return (unsigned)type < TARN_ELEMENT_TYPE_COUNT ? element_types[type].name : "unknown";
}
