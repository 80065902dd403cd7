/* Softmax and layer norm for one kind of number, REAL. normalizing.c includes this once for floats and once for doubles; NAME gives the
 * functions their names, LOAD and STORE convert elements. */

/* The greatest value that is not NaN, at least `greatest`. */
static REAL NAME(find_greatest)(size_t count, const REAL *values, REAL greatest) {
    REAL lanes[LANES];
    for (size_t i = 0; i < LANES; i++) lanes[i] = greatest;
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t j = 0; j < LANES; j++) lanes[j] = values[i + j] > lanes[j] ? values[i + j] : lanes[j];
    for (size_t i = whole; i < count; i++)
        lanes[i - whole] = values[i] > lanes[i - whole] ? values[i] : lanes[i - whole];
    for (size_t i = 0; i < LANES; i++) greatest = lanes[i] > greatest ? lanes[i] : greatest;
    return greatest;
}

/* At most BLOCK values. */
static double NAME(sum_of)(size_t count, const REAL *values) {
    REAL lanes[LANES] = {0};
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t j = 0; j < LANES; j++) lanes[j] += values[i + j];
    for (size_t i = whole; i < count; i++) lanes[i - whole] += values[i];
    double sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += (double)lanes[i];
    return sum;
}

static void NAME(make_exponentials)(size_t count, REAL *values, REAL greatest) {
    for (size_t i = 0; i < count; i++) values[i] -= greatest;
    AT_LEVEL(cpu_functions)[TARN_OPERATION_EXP][LANE](values, values, NULL, NULL, count);
}

static size_t NAME(load_block)(const cpu_softmax_rows *rows, size_t begin, REAL *out_values) {
    size_t count = rows->count - begin < BLOCK ? rows->count - begin : BLOCK;
    int64_t size = (int64_t)tarn_element_size(rows->type);
    LOAD(rows->type, (const char *)rows->source + (int64_t)begin * rows->source_step * size, rows->source_step, count,
         out_values);
    return count;
}

static void NAME(softmax_row)(const cpu_softmax_rows *rows) {
    REAL values[BLOCK];
    REAL greatest = -(REAL)INFINITY;
    double sum = 0;
    size_t count = 0;
    for (size_t begin = 0; begin < rows->count; begin += count) {
        count = NAME(load_block)(rows, begin, values);
        greatest = NAME(find_greatest)(count, values, greatest);
    }
    for (size_t begin = 0; begin < rows->count; begin += count) {
        if (rows->count > BLOCK) count = NAME(load_block)(rows, begin, values);
        NAME(make_exponentials)(count, values, greatest);
        sum += NAME(sum_of)(count, values);
    }
    REAL factor = (REAL)(1 / sum);
    int64_t size = (int64_t)tarn_element_size(rows->type);
    for (size_t begin = 0; begin < rows->count; begin += count) {
        if (rows->count > BLOCK) {
            count = NAME(load_block)(rows, begin, values);
            NAME(make_exponentials)(count, values, greatest);
        }
        for (size_t i = 0; i < count; i++) values[i] *= factor;
        STORE(rows->type, (char *)rows->destination + (int64_t)begin * rows->destination_step * size,
              rows->destination_step, count, values);
    }
}

/* One element of each row. */
static void NAME(load_step)(const cpu_softmax_rows *rows, size_t step, REAL *out_values) {
    int64_t size = (int64_t)tarn_element_size(rows->type);
    LOAD(rows->type, (const char *)rows->source + (int64_t)step * rows->source_step * size, rows->source_column,
         rows->columns, out_values);
}

static void NAME(make_exponentials_of_each)(size_t count, REAL *values, const REAL *greatest) {
    for (size_t i = 0; i < count; i++) values[i] -= greatest[i];
    AT_LEVEL(cpu_functions)[TARN_OPERATION_EXP][LANE](values, values, NULL, NULL, count);
}

/* The sums of the steps so far are in `sums`, those of the last few in `recent`. */
static void NAME(softmax_columns)(const cpu_softmax_rows *rows) {
    REAL values[CPU_SOFTMAX_COLUMNS], greatest[CPU_SOFTMAX_COLUMNS], recent[CPU_SOFTMAX_COLUMNS] = {0};
    REAL factors[CPU_SOFTMAX_COLUMNS];
    double sums[CPU_SOFTMAX_COLUMNS] = {0};
    size_t columns = rows->columns;
    for (size_t i = 0; i < columns; i++) greatest[i] = -(REAL)INFINITY;
    for (size_t step = 0; step < rows->count; step++) {
        NAME(load_step)(rows, step, values);
        for (size_t i = 0; i < columns; i++) greatest[i] = values[i] > greatest[i] ? values[i] : greatest[i];
    }
    for (size_t step = 0; step < rows->count; step++) {
        NAME(load_step)(rows, step, values);
        NAME(make_exponentials_of_each)(columns, values, greatest);
        for (size_t i = 0; i < columns; i++) recent[i] += values[i];
        if (step % 32 != 31 && step + 1 != rows->count) continue;
        for (size_t i = 0; i < columns; i++) {
            sums[i] += (double)recent[i];
            recent[i] = 0;
        }
    }
    for (size_t i = 0; i < columns; i++) factors[i] = (REAL)(1 / sums[i]);
    int64_t size = (int64_t)tarn_element_size(rows->type);
    for (size_t step = 0; step < rows->count; step++) {
        NAME(load_step)(rows, step, values);
        NAME(make_exponentials_of_each)(columns, values, greatest);
        for (size_t i = 0; i < columns; i++) values[i] *= factors[i];
        STORE(rows->type, (char *)rows->destination + (int64_t)step * rows->destination_step * size,
              rows->destination_column, columns, values);
    }
}

/* The place of the `begin`th element of a row, and how many elements from there on lie at equal distances, at most `count`. */
static int64_t NAME(find_run)(const cpu_norm_row *row, size_t begin, size_t *inout_count) {
    const tarn_operand *operand = row->operand;
    uint32_t last = operand->rank - 1;
    size_t extent = (size_t)operand->dims[last], first_of_run = begin % extent;
    /* A run goes on through outer dimensions that continue it. */
    uint32_t dim = last;
    while (dim > row->first_dim && operand->strides[dim - 1] == (int64_t)extent * operand->strides[last]) {
        dim--;
        extent *= (size_t)operand->dims[dim];
        first_of_run = begin % extent;
    }
    if (extent - first_of_run < *inout_count) *inout_count = extent - first_of_run;
    uint32_t outer = ((uint32_t)1 << dim) - ((uint32_t)1 << row->first_dim);
    return row->offset + cpu_place(operand, outer, begin / extent) + (int64_t)first_of_run * operand->strides[last];
}

static void NAME(load_norm)(const cpu_norm_row *row, size_t begin, size_t count, REAL *out_values) {
    while (count > 0) {
        size_t run = count;
        int64_t place = NAME(find_run)(row, begin, &run);
        LOAD(row->operand->type, cpu_element(row->operand, place), row->operand->strides[row->operand->rank - 1], run,
             out_values);
        begin += run;
        count -= run;
        out_values += run;
    }
}

static void NAME(store_norm)(const cpu_norm_row *row, size_t begin, size_t count, const REAL *values) {
    while (count > 0) {
        size_t run = count;
        int64_t place = NAME(find_run)(row, begin, &run);
        STORE(row->operand->type, cpu_element(row->operand, place), row->operand->strides[row->operand->rank - 1], run,
              values);
        begin += run;
        count -= run;
        values += run;
    }
}

static void NAME(subtract)(size_t count, REAL *values, REAL amount) {
    for (size_t i = 0; i < count; i++) values[i] -= amount;
}

static double NAME(sum_of_squares)(size_t count, const REAL *values) {
    REAL squares[BLOCK];
    for (size_t i = 0; i < count; i++) squares[i] = values[i] * values[i];
    return NAME(sum_of)(count, squares);
}

static void NAME(finish_norm)(const cpu_norm_rows *rows, size_t begin, size_t count, REAL factor, REAL *values) {
    REAL others[BLOCK];
    if (rows->weight.operand != NULL) {
        NAME(load_norm)(&rows->weight, begin, count, others);
        for (size_t i = 0; i < count; i++) values[i] = values[i] * factor * others[i];
    } else {
        for (size_t i = 0; i < count; i++) values[i] *= factor;
    }
    if (rows->bias.operand != NULL) {
        NAME(load_norm)(&rows->bias, begin, count, others);
        for (size_t i = 0; i < count; i++) values[i] += others[i];
    }
    NAME(store_norm)(&rows->destination, begin, count, values);
}

static size_t NAME(load_norm_block)(const cpu_norm_rows *rows, size_t begin, REAL *out_values) {
    size_t count = rows->count - begin < BLOCK ? rows->count - begin : BLOCK;
    NAME(load_norm)(&rows->source, begin, count, out_values);
    return count;
}

/* The first mean is only about right. What the differences from it sum to corrects it, which keeps the digits of values far from zero. */
static void NAME(norm_row)(const cpu_norm_rows *rows) {
    REAL values[BLOCK];
    double sum = 0, differences = 0, squares = 0;
    size_t count = 0;
    for (size_t begin = 0; begin < rows->count; begin += count) {
        count = NAME(load_norm_block)(rows, begin, values);
        sum += NAME(sum_of)(count, values);
    }
    REAL mean = (REAL)(sum / (double)rows->count);
    for (size_t begin = 0; begin < rows->count; begin += count) {
        if (rows->count > BLOCK) count = NAME(load_norm_block)(rows, begin, values);
        NAME(subtract)(count, values, mean);
        differences += NAME(sum_of)(count, values);
        squares += NAME(sum_of_squares)(count, values);
    }
    double correction = differences / (double)rows->count;
    double variance = squares / (double)rows->count - correction * correction;
    REAL factor = (REAL)(1 / sqrt((variance < 0 ? 0 : variance) + rows->epsilon));
    for (size_t begin = 0; begin < rows->count; begin += count) {
        if (rows->count > BLOCK) {
            count = NAME(load_norm_block)(rows, begin, values);
            NAME(subtract)(count, values, mean);
        }
        NAME(subtract)(count, values, (REAL)correction);
        NAME(finish_norm)(rows, begin, count, factor, values);
    }
}
