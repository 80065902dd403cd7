/* Layouts of views follow from those of what they view; everything that is computed lies in row-major order. */
#include "expr/layout.h"

#include <string.h>

#include "tensor/view.h"

static void lay_out_new(const tarn_expr *expr, uint32_t number, expr_layout *out_layout) {
    *out_layout = (expr_layout){.base = number};
    /* Its elements have been counted, so that this cannot fail. */
    (void)tarn_shape_strides(&expr->shape, out_layout->strides);
}

static void lay_out_tensor(const tarn_expr *expr, uint32_t number, expr_layout *out_layout) {
    *out_layout = (expr_layout){.base = number};
    memcpy(out_layout->strides, tarn_tensor_strides(expr->as.tensor), expr->shape.rank * sizeof(int64_t));
}

/* False for a reshape that strides do not allow. */
static bool lay_out_view(const tarn_expr *expr, const tarn_expr *operand, const expr_layout *viewed,
                         expr_layout *out_layout) {
    expr_layout layout = {.base = viewed->base, .offset = viewed->offset};
    if (expr->kind == EXPR_RESHAPE) {
        if (!tensor_view_strides(&operand->shape, viewed->strides, &expr->shape, layout.strides)) return false;
    } else if (expr->kind == EXPR_TRANSPOSE) {
        for (size_t i = 0; i < expr->shape.rank; i++) layout.strides[i] = viewed->strides[expr->as.order[i]];
    } else if (expr->kind == EXPR_SLICE) {
        uint32_t dim = expr->as.slice.dim;
        memcpy(layout.strides, viewed->strides, sizeof layout.strides);
        /* Strides between no elements may be any numbers. */
        if (operand->elements > 0) {
            layout.offset += expr->as.slice.begin * viewed->strides[dim];
            if (expr->shape.dims[dim] > 1) layout.strides[dim] *= expr->as.slice.step;
        }
    } else {
        size_t shift = expr->shape.rank - operand->shape.rank;
        for (size_t i = 0; i < operand->shape.rank; i++)
            if (operand->shape.dims[i] == expr->shape.dims[i + shift]) layout.strides[i + shift] = viewed->strides[i];
    }
    *out_layout = layout;
    return true;
}

void expr_layouts_find(expr_values *values, expr_layout *out_layouts) {
    for (uint32_t v = 0; v < values->count; v++) {
        expr_value *value = &values->items[v];
        const tarn_expr *expr = value->expr;
        if (expr->kind == EXPR_TENSOR && !value->is_copy) {
            lay_out_tensor(expr, v, &out_layouts[v]);
        } else if (!expr_is_view(expr) || value->is_copy) {
            lay_out_new(expr, v, &out_layouts[v]);
        } else {
            const expr_value *operand = &values->items[value->operands[0]];
            /* A constant has no memory to be viewed. */
            if (!operand->is_constant &&
                lay_out_view(expr, operand->expr, &out_layouts[value->operands[0]], &out_layouts[v]))
                continue;
            value->is_copy = true;
            lay_out_new(expr, v, &out_layouts[v]);
        }
    }
}
