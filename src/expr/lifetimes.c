/* Lifetimes are counted in passes. A program may write a result over an operand that nobody reads later: the two are one buffer then,
 * alive from the first one's pass to the second one's last reader. */
#include "expr/lifetimes.h"

#include "base/memory.h"
#include "base/status.h"

static tarn_status fail_memory(void) {
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory to evaluate an expression");
}

static void read_value(const tarn_evaluation *evaluation, uint32_t number, uint32_t pass, uint32_t *last_read) {
    if (!evaluation->values.items[number].is_constant) last_read[evaluation->layouts[number].base] = pass;
}

/* Which pass reads each value last. */
static void find_last_reads(const tarn_evaluation *evaluation, uint32_t *last_read) {
    const expr_values *values = &evaluation->values;
    for (uint32_t p = 0; p < evaluation->passes.count; p++) {
        const expr_pass *pass = &evaluation->passes.items[p];
        const expr_ready_pass *ready = &evaluation->ready[p];
        if (pass->is_program) {
            for (uint32_t i = 0; ready->operation != NULL && i < ready->operation->input_count; i++)
                last_read[ready->bases[ready->operation->output_count + i]] = p;
            continue;
        }
        const expr_value *value = &values->items[pass->operation];
        for (uint32_t i = 0; i < value->expr->operand_count; i++)
            read_value(evaluation, value->operands[i], p, last_read);
        if (pass->bias != EXPR_NONE) read_value(evaluation, pass->bias, p, last_read);
    }
}

/* Whether two operands of an operation are the same elements in the same order, if their memory is. */
static bool is_same_walk(const tarn_operand *a, const tarn_operand *b) {
    if (a->data != b->data || tarn_element_size(a->type) != tarn_element_size(b->type)) return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->strides[i] != b->strides[i]) return false;
    return true;
}

/* The input that the last result of pass `p` may be written over, if it is an intermediate that has no other reader; EXPR_NONE if none. */
static uint32_t find_overwritten(const tarn_evaluation *evaluation, uint32_t p, const uint32_t *last_read) {
    const tarn_backend_operation *operation = evaluation->ready[p].operation;
    if (operation == NULL || operation->program->reduction != TARN_OPERATION_COPY) return EXPR_NONE;
    const uint32_t *bases = evaluation->ready[p].bases;
    uint32_t overwritten = EXPR_NONE, output = 0;
    while (bases[output] != evaluation->passes.items[p].last) output++;
    for (uint32_t i = operation->output_count; i < operation->output_count + operation->input_count; i++) {
        if (evaluation->place_of[bases[i]] == EXPR_NONE || last_read[bases[i]] != p) continue;
        bool is_read_otherwise = !is_same_walk(&operation->operands[output], &operation->operands[i]);
        for (uint32_t k = operation->output_count; k < operation->output_count + operation->input_count; k++)
            is_read_otherwise |= k != i && bases[k] == bases[i];
        if (!is_read_otherwise) overwritten = bases[i];
    }
    return overwritten;
}

static bool is_intermediate(const tarn_evaluation *evaluation, uint32_t number) {
    return evaluation->passes.is_stored[number] && evaluation->result_of[number] == EXPR_NONE;
}

/* Gives each intermediate its buffer; returns how many there are. */
static size_t find_buffers(tarn_evaluation *evaluation, const uint32_t *last_read, memory_lifetime *lifetimes) {
    const expr_values *values = &evaluation->values;
    size_t count = 0;
    for (uint32_t v = 0; v < values->count; v++) evaluation->place_of[v] = EXPR_NONE;
    /* In the order of passes, so that what is overwritten has its buffer. */
    for (uint32_t p = 0; p < evaluation->passes.count; p++) {
        const expr_pass *pass = &evaluation->passes.items[p];
        uint32_t number = pass->last;
        const tarn_expr *expr = values->items[number].expr;
        /* Other results of a program are results of the evaluation. */
        if (!is_intermediate(evaluation, number) || expr->elements == 0) continue;
        int64_t end = (int64_t)(last_read[number] > p ? last_read[number] : p) + 1;
        uint32_t overwritten = find_overwritten(evaluation, p, last_read);
        if (overwritten != EXPR_NONE) {
            evaluation->place_of[number] = evaluation->place_of[overwritten];
            lifetimes[evaluation->place_of[number]].end = end;
            continue;
        }
        lifetimes[count] =
            (memory_lifetime){.begin = p, .end = end, .size = expr->elements * tarn_element_size(expr->type)};
        evaluation->place_of[number] = (uint32_t)count++;
    }
    return count;
}

tarn_status expr_lay_out_memory(tarn_evaluation *evaluation) {
    size_t most = (size_t)evaluation->values.count + 1;
    evaluation->place_of = base_allocate(most, sizeof *evaluation->place_of);
    uint32_t *last_read = base_allocate(most, sizeof *last_read);
    memory_lifetime *lifetimes = base_allocate(most, sizeof *lifetimes);
    tarn_status status;
    if (evaluation->place_of == NULL || last_read == NULL || lifetimes == NULL) {
        status = fail_memory();
    } else {
        find_last_reads(evaluation, last_read);
        size_t count = find_buffers(evaluation, last_read, lifetimes);
        /* The quick plan, since an expression may be evaluated once. */
        status = memory_layout_create(lifetimes, count, -1, &evaluation->memory);
    }
    base_free(last_read);
    base_free(lifetimes);
    return status;
}
