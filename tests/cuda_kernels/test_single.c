/* Programs of one step run by kernels that are there before, and give what the interpreter gives, bit for bit: every step on every type, over lengths about
 * those of packs, beginnings that are not aligned, and layouts of all sorts.
 *
 * The interpreter is given the same step twice, which makes a program of two steps. */
#include "elements.h"
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "kernel_device.h"

#define ROOM 24576 /* elements that an operand's memory has */

static kernel_device cuda; /* memory: of two outputs and three inputs, for the widest elements */

/* A way for operands to lie. Strides are in elements, of the output and three inputs; `begins` is where each begins. */
typedef struct layout {
    const char *name;
    uint32_t rank;
    int64_t dims[4];
    int64_t strides[4][4];
    int64_t begins[4];
} layout;

static const layout layouts[] = {
    {"one element", 1, {1}, {{1}, {1}, {1}, {1}}, {0}},
    {"three elements", 1, {3}, {{1}, {1}, {1}, {1}}, {0}},
    {"a row and one more", 1, {1025}, {{1}, {1}, {1}, {1}}, {0}},
    {"all begin off alike", 1, {127}, {{1}, {1}, {1}, {1}}, {3, 3, 3, 3}},
    {"begins differ", 1, {130}, {{1}, {1}, {1}, {1}}, {1, 0, 5, 7}},
    {"the second is one element", 1, {333}, {{1}, {1}, {0}, {1}}, {0}},
    {"the first is one element", 1, {65}, {{1}, {0}, {1}, {0}}, {2}},
    {"a row for all rows", 2, {7, 33}, {{33, 1}, {33, 1}, {0, 1}, {33, 1}}, {0}},
    {"aligned rows, a row for all", 2, {5, 64}, {{64, 1}, {64, 1}, {0, 1}, {64, 1}}, {0}},
    {"a column for all columns", 2, {9, 40}, {{40, 1}, {40, 1}, {1, 0}, {40, 1}}, {0}},
    {"each third element", 1, {99}, {{3}, {2}, {1}, {5}}, {1, 0, 0, 4}},
    {"the second is turned", 2, {17, 35}, {{35, 1}, {35, 1}, {1, 17}, {35, 1}}, {0}},
    {"the first is turned", 2, {45, 43}, {{43, 1}, {1, 45}, {43, 1}, {43, 1}}, {0}},
    {"three dimensions of which none merge", 3, {3, 5, 18}, {{120, 20, 1}, {200, 19, 1}, {0, 18, 1}, {90, 18, 1}}, {0}},
    {"four dimensions, rows of one",
     4,
     {2, 3, 4, 1},
     {{90, 20, 3, 1}, {80, 19, 2, 1}, {70, 18, 2, 1}, {1, 2, 6, 1}},
     {0}},
};
/* Of copies alone: more than one tile of all sizes, aligned and not, and matrices that lie in a larger space. */
static const layout turned[] = {
    {"a matrix turned", 2, {132, 136}, {{136, 1}, {1, 132}, {0}, {0}}, {0}},
    {"a matrix turned, beginnings differ", 2, {129, 131}, {{131, 1}, {1, 129}, {0}, {0}}, {1, 2}},
    {"three matrices turned", 3, {3, 70, 40}, {{2900, 41, 1}, {3000, 1, 72}, {0}, {0}}, {0}},
    {"the first dimension is turned to the last", 3, {33, 5, 37}, {{190, 37, 1}, {1, 1500, 35}, {0}, {0}}, {0, 1}},
    {"a matrix of eight by eight", 2, {8, 8}, {{9, 1}, {1, 10}, {0}, {0}}, {0}},
};
#define LAYOUTS (sizeof layouts / sizeof layouts[0])

static int open_device(void **state) {
    (void)state;
    setenv("TARN_CUDA_COMPILE", "never", 1);
    kernel_device_open(&cuda, ROOM * 8);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    kernel_device_close(&cuda);
    return 0;
}

static tarn_operand lay_out(const layout *way, unsigned number, tarn_element_type type, void *data) {
    tarn_operand operand = {.type = type, .rank = way->rank};
    operand.data = (char *)data + way->begins[number] * (int64_t)tarn_element_size(type);
    for (uint32_t d = 0; d < way->rank; d++) {
        operand.dims[d] = way->dims[d];
        operand.strides[d] = way->strides[number][d];
    }
    return operand;
}

/* Elements from the beginning of an operand's memory to its last element. */
static size_t span(const layout *way, unsigned number) {
    int64_t last = way->begins[number];
    for (uint32_t d = 0; d < way->rank; d++) last += (way->dims[d] - 1) * way->strides[number][d];
    return (size_t)last + 1;
}

/* A step, the types of what it takes, and which of those are constants. */
typedef struct trial {
    tarn_operation operation;
    tarn_element_type type;
    unsigned count;
    tarn_element_type taken[3];
    unsigned constants; /* bits */
} trial;

static void run_program(const trial *tried, const layout *way, unsigned steps, void *const *outputs) {
    form_program form;
    memset(&form, 0, sizeof form);
    tarn_step step = {.operation = tried->operation, .type = tried->type};
    unsigned inputs = 0;
    for (unsigned i = 0; i < tried->count; i++) {
        if ((tried->constants >> i & 1) != 0) {
            form.constants[form.program.constant_count] = (tarn_constant){
                .type = tried->taken[i], .floating = 1.7, .integer = tried->taken[i] == TARN_ELEMENT_BOOL ? 1 : 3};
            step.values[i] = (tarn_value){TARN_SOURCE_CONSTANT, (uint16_t)form.program.constant_count++};
        } else {
            form.operands[steps + inputs] = lay_out(way, i + 1, tried->taken[i], cuda.memory[2 + i]);
            step.values[i] = (tarn_value){TARN_SOURCE_INPUT, (uint16_t)inputs++};
        }
    }
    for (unsigned i = 0; i < steps; i++) {
        form.steps[i] = step;
        form.results[i] = (uint16_t)i;
        form.operands[i] = lay_out(way, 0, tried->type, outputs[i]);
    }
    form.program.steps = form.steps;
    form.program.constants = form.constants;
    form.program.results = form.results;
    form.program.step_count = steps;
    form.operation = (tarn_backend_operation){.struct_size = sizeof form.operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .operands = form.operands,
                                              .output_count = steps,
                                              .input_count = inputs,
                                              .program = &form.program};
    kernel_device_run(&cuda, &form.operation);
}

static void try(const trial *tried, const layout *way) {
    static char expected[ROOM * 8], other[ROOM * 8];
    char name[160];
    const size_t size = (span(way, 0) + 8) * tarn_element_size(tried->type);
    snprintf(name, sizeof name, "%s from %s to %s, %s, constants %u", tarn_operation_name(tried->operation),
             tarn_element_name(tried->taken[tried->count - 1]), tarn_element_name(tried->type), way->name,
             tried->constants);
    for (unsigned i = 0; i < tried->count; i++)

        fill_elements(tried->taken[i], cuda.memory[2 + i], span(way, i + 1) * tarn_element_size(tried->taken[i]));
    memset(cuda.memory[0], 0x11, size);
    memset(cuda.memory[1], 0x11, size);
    run_program(tried, way, 2, (void *const[]){cuda.memory[0], cuda.memory[1]});
    memcpy(expected, cuda.memory[0], size);
    memset(cuda.memory[0], 0x11, size);
    run_program(tried, way, 1, (void *const[]){cuda.memory[0]});
    expect_same_elements(tried->type, cuda.memory[0], expected, size, name);
    /* In place, where the first input lies as the output does. */
    if (tried->type != tried->taken[0] || (tried->constants & 1) != 0 ||
        memcmp(way->strides[0], way->strides[1], sizeof way->strides[0]) != 0)
        return;
    memset(other, 0x11, size);
    memcpy(other + way->begins[0] * (int64_t)tarn_element_size(tried->type),
           (char *)cuda.memory[2] + way->begins[1] * (int64_t)tarn_element_size(tried->type),
           (span(way, 1) - (size_t)way->begins[1]) * tarn_element_size(tried->type));
    void *kept = cuda.memory[2];
    layout same = *way;
    same.begins[1] = same.begins[0];
    memcpy(cuda.memory[0], other, size);
    cuda.memory[2] = cuda.memory[0];
    run_program(tried, &same, 1, (void *const[]){cuda.memory[0]});
    cuda.memory[2] = kept;
    /* What lies between the elements is as it was. */
    run_program(tried, way, 1, (void *const[]){other});
    expect_same_elements(tried->type, cuda.memory[0], other, size, name);
}

/* All layouts, or some of them where everything takes longer, with the second input and then the first as a constant at the end. */
static void try_all(trial tried) {
    size_t step = getenv("TARN_TEST_SLOWNESS") != NULL ? 5 : 1;
    for (size_t i = tried.type % step; i < LAYOUTS; i += step) try(&tried, &layouts[i]);
    for (unsigned constants = 1; constants < 1u << tried.count && tried.count > 1; constants++) {
        tried.constants = constants;
        try(&tried, &layouts[4]);
        try(&tried, &layouts[7]);
    }
}

static void try_steps(const tarn_operation *operations, size_t operation_count, unsigned types, unsigned count) {
    for (size_t i = 0; i < operation_count; i++) {
        for (unsigned type = 0; type < types; type++) {
            tarn_element_type each = (tarn_element_type)type;
            tarn_operation operation = operations[i];
            if (each == TARN_ELEMENT_BOOL && (operation < TARN_OPERATION_EQUAL) && operation != TARN_OPERATION_ADD &&
                operation != TARN_OPERATION_MULTIPLY && operation != TARN_OPERATION_MAXIMUM &&
                operation != TARN_OPERATION_MINIMUM)
                continue;
            bool compares = operation >= TARN_OPERATION_EQUAL && operation <= TARN_OPERATION_LESS_EQUAL;
            try_all((trial){.operation = operation,
                            .type = compares ? TARN_ELEMENT_BOOL : each,
                            .count = count,
                            .taken = {each, each, each}});
        }
    }
}

static void arithmetic_gives_what_the_interpreter_gives(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    static const tarn_operation one[] = {TARN_OPERATION_NEG, TARN_OPERATION_RELU};
    static const tarn_operation two[] = {TARN_OPERATION_ADD,    TARN_OPERATION_SUBTRACT, TARN_OPERATION_MULTIPLY,
                                         TARN_OPERATION_DIVIDE, TARN_OPERATION_MAXIMUM,  TARN_OPERATION_MINIMUM};
    try_steps(one, 2, TARN_ELEMENT_BOOL, 1);
    try_steps(two, 6, TARN_ELEMENT_TYPE_COUNT, 2);
}

static void functions_give_what_the_interpreter_gives(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    static const tarn_operation real[] = {TARN_OPERATION_EXP, TARN_OPERATION_LOG, TARN_OPERATION_SQRT,
                                          TARN_OPERATION_SIN, TARN_OPERATION_COS, TARN_OPERATION_SIGMOID,
                                          TARN_OPERATION_TANH};
    static const tarn_operation power[] = {TARN_OPERATION_POW};
    try_steps(real, 7, TARN_ELEMENT_F64 + 1, 1);
    try_steps(power, 1, TARN_ELEMENT_BOOL, 2);
}

static void comparisons_and_choices_give_what_the_interpreter_gives(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    static const tarn_operation compared[] = {TARN_OPERATION_EQUAL, TARN_OPERATION_LESS, TARN_OPERATION_LESS_EQUAL};
    try_steps(compared, 3, TARN_ELEMENT_TYPE_COUNT, 2);
    for (unsigned type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
        tarn_element_type each = (tarn_element_type)type;
        try_all((trial){
            .operation = TARN_OPERATION_SELECT, .type = each, .count = 3, .taken = {TARN_ELEMENT_BOOL, each, each}});
    }
}

static void casts_and_copies_give_what_the_interpreter_gives(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    for (unsigned from = 0; from < TARN_ELEMENT_TYPE_COUNT; from++) {
        for (unsigned to = 0; to < TARN_ELEMENT_TYPE_COUNT; to++) {
            try_all((trial){.operation = TARN_OPERATION_COPY,
                            .type = (tarn_element_type)to,
                            .count = 1,
                            .taken = {(tarn_element_type)from}});
        }
    }
}

static void copies_that_are_turned_give_what_the_interpreter_gives(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    static const tarn_element_type types[] = {TARN_ELEMENT_U8, TARN_ELEMENT_I16, TARN_ELEMENT_F32, TARN_ELEMENT_F64};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        trial tried = {.operation = TARN_OPERATION_COPY, .type = types[i], .count = 1, .taken = {types[i]}};
        for (size_t k = 0; k < sizeof turned / sizeof turned[0]; k++) try(&tried, &turned[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_gives_what_the_interpreter_gives),
        cmocka_unit_test(functions_give_what_the_interpreter_gives),
        cmocka_unit_test(comparisons_and_choices_give_what_the_interpreter_gives),
        cmocka_unit_test(casts_and_copies_give_what_the_interpreter_gives),
        cmocka_unit_test(copies_that_are_turned_give_what_the_interpreter_gives),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
