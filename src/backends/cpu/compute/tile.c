/* Running a plan tile by tile: operands are loaded, instructions run, results stored. */
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "backends/cpu/compute/grid.h"
#include "backends/cpu/compute/plan.h"

/* Bytes of a cache line. */
#define LINE ((size_t)64)

static cpu_grid grid_of(const cpu_evaluation *evaluation, const cpu_access *access) {
    const cpu_plan *plan = evaluation->plan;
    char *data = access->data;
    for (uint32_t i = 0; i < plan->rank; i++) data += evaluation->place[i] * access->strides[i];
    return (cpu_grid){data, access->strides[plan->rank - 1], access->strides[plan->rank - 2]};
}

/* The same rectangle packed into scratch memory. */
static cpu_grid packed_grid(const cpu_evaluation *evaluation, void *data, size_t element) {
    return (cpu_grid){data, (int64_t)element, (int64_t)(evaluation->columns * element)};
}

static void *slot_of(cpu_evaluation *evaluation, uint8_t slot) {
    return evaluation->scratch + slot * evaluation->plan->slot_size;
}

static void load(cpu_evaluation *evaluation, const cpu_access *access) {
    size_t count = evaluation->rows * evaluation->columns;
    cpu_grid from = grid_of(evaluation, access);
    if (access->is_direct) {
        evaluation->registers[access->reg] = from.data;
        return;
    }
    void *lanes = evaluation->registers[access->reg];
    if (access->reach == CPU_REACH_WHOLE) {
        if (access->convert != NULL) access->convert(lanes, from.data, NULL, NULL, count);
        else memcpy(lanes, from.data, count * access->element);
        return;
    }
    void *packed = access->convert != NULL ? slot_of(evaluation, evaluation->plan->raw_slot) : lanes;
    cpu_grid_copy(evaluation->plan->kernels, packed_grid(evaluation, packed, access->element), from, &from,
                  evaluation->rows, evaluation->columns, access->element);
    if (access->convert != NULL) access->convert(lanes, packed, NULL, NULL, count);
}

/* Where inputs go on that are read in place, and by as many bytes as the output is written. */
static size_t find_ahead(const cpu_evaluation *evaluation, size_t element, const char **out_ahead) {
    const cpu_plan *plan = evaluation->plan;
    size_t count = 0;
    for (uint32_t i = plan->operation->output_count; i < plan->access_count; i++) {
        const cpu_access *access = &plan->accesses[i];
        if (!access->is_direct || access->element != element) continue;
        const char *tile = evaluation->registers[access->reg];
        out_ahead[count++] = tile + (size_t)plan->tile_columns * element;
    }
    return count;
}

/* Writes past the caches: what is read again only after much else has been would only push other things out of them. While that
 * keeps the memory busy in one direction, what is ahead is fetched in the other. */
static void stream_out(char *to, const char *from, size_t size, const char *const *ahead, size_t ahead_count) {
    size_t done = 0;
#if defined(__SSE2__)
    done = (size_t)(-(uintptr_t)to & (LINE - 1)); /* whole lines need no reading */
    if (done > size) done = size;
    memcpy(to, from, done);
    for (; done + LINE <= size; done += LINE) {
        for (size_t k = 0; k < ahead_count; k++) _mm_prefetch(ahead[k] + done, _MM_HINT_T0);
        for (size_t k = 0; k < LINE; k += sizeof(__m128i)) {
            __m128i lanes = _mm_loadu_si128((const __m128i *)(const void *)(from + done + k));
            _mm_stream_si128((__m128i *)(void *)(to + done + k), lanes);
        }
    }
#else
    (void)ahead;
    (void)ahead_count;
#endif
    memcpy(to + done, from + done, size - done);
}

/* A tile whose elements lie side by side. */
static void store_whole(const cpu_evaluation *evaluation, size_t element, char *to, const char *packed) {
    size_t size = evaluation->rows * evaluation->columns * element;
    if (evaluation->plan->streams) {
        const char *ahead[TARN_PROGRAM_MAXIMUM_OPERANDS];
        stream_out(to, packed, size, ahead, find_ahead(evaluation, element, ahead));
    } else {
        memmove(to, packed, size);
    }
}

/* A tile with elements side by side in its rows. */
static void stream_rows(const cpu_evaluation *evaluation, size_t element, cpu_grid to, const char *packed) {
    size_t row = evaluation->columns * element;
    for (size_t r = 0; r < evaluation->rows; r++) {
        stream_out(to.data + (int64_t)r * to.across, packed + r * row, row, NULL, 0);
    }
}

static void store(cpu_evaluation *evaluation, const cpu_access *access) {
    const cpu_plan *plan = evaluation->plan;
    size_t count = evaluation->rows * evaluation->columns;
    cpu_grid to = grid_of(evaluation, access);
    void *lanes = evaluation->registers[access->reg];
    bool is_whole = access->reach == CPU_REACH_WHOLE;
    if (is_whole && access->convert != NULL && !plan->streams) {
        access->convert(to.data, lanes, NULL, NULL, count);
        return;
    }
    void *packed = lanes;
    if (access->convert != NULL) {
        packed = slot_of(evaluation, plan->raw_slot);
        access->convert(packed, lanes, NULL, NULL, count);
    }
    int64_t element = (int64_t)access->element;
    if (is_whole || (to.along == element && to.across == (int64_t)evaluation->columns * element)) {
        store_whole(evaluation, access->element, to.data, packed);
    } else if (plan->streams && to.along == element) {
        stream_rows(evaluation, access->element, to, packed);
    } else {
        cpu_grid_copy(plan->kernels, to, packed_grid(evaluation, packed, access->element), &to, evaluation->rows,
                      evaluation->columns, access->element);
    }
}

/* Fills the slot with what its first lane is. */
static void spread(const cpu_evaluation *evaluation, void *lanes, cpu_lane lane) {
    const cpu_plan *plan = evaluation->plan;
    size_t count = (size_t)(plan->tile_rows * plan->tile_columns);
    if (cpu_lane_size(lane) == 4) {
        uint32_t *values = lanes;
        uint32_t value = values[0];
        for (size_t i = 1; i < count; i++) values[i] = value;
    } else {
        uint64_t *values = lanes;
        uint64_t value = values[0];
        for (size_t i = 1; i < count; i++) values[i] = value;
    }
}

static void load_constant(cpu_evaluation *evaluation, uint32_t number) {
    const tarn_constant *constant = &evaluation->plan->operation->program->constants[number];
    void *lanes = evaluation->registers[evaluation->plan->first_constant + number];
    cpu_lane lane = cpu_lane_of(constant->type);
    switch (lane) {
    case CPU_LANE_F32: *(float *)lanes = (float)constant->floating; break;
    case CPU_LANE_F64: *(double *)lanes = constant->floating; break;
    case CPU_LANE_I32: *(int32_t *)lanes = (int32_t)(uint32_t)(uint64_t)constant->integer; break;
    case CPU_LANE_I64: *(int64_t *)lanes = constant->integer; break;
    }
    cpu_kernel *wrap = evaluation->plan->kernels->conversions->wraps[constant->type];
    if (wrap != NULL) wrap(lanes, lanes, NULL, NULL, 1);
    spread(evaluation, lanes, lane);
}

static void load_single(cpu_evaluation *evaluation, const cpu_access *access) {
    void *lanes = evaluation->registers[access->reg];
    if (access->convert != NULL) access->convert(lanes, access->data, NULL, NULL, 1);
    else memcpy(lanes, access->data, access->element);
    spread(evaluation, lanes, access->lane);
}

void cpu_evaluation_measure(cpu_evaluation *evaluation) {
    const cpu_plan *plan = evaluation->plan;
    int64_t rows = plan->dims[plan->rank - 2] - evaluation->place[plan->rank - 2];
    int64_t columns = plan->dims[plan->rank - 1] - evaluation->place[plan->rank - 1];
    evaluation->rows = (size_t)(rows < plan->tile_rows ? rows : plan->tile_rows);
    evaluation->columns = (size_t)(columns < plan->tile_columns ? columns : plan->tile_columns);
}

void cpu_evaluation_begin(cpu_evaluation *evaluation, const cpu_plan *plan, size_t tile) {
    evaluation->plan = plan;
    for (uint32_t i = plan->rank; i-- > 0;) {
        int64_t size = i == plan->rank - 1 ? plan->tile_columns : i == plan->rank - 2 ? plan->tile_rows : 1;
        size_t tiles = (size_t)((plan->dims[i] + size - 1) / size);
        evaluation->place[i] = (int64_t)(tile % tiles) * size;
        tile /= tiles;
    }
    cpu_evaluation_measure(evaluation);
    for (uint32_t i = 0; i < plan->register_count; i++) {
        if (plan->slots[i] != CPU_NO_SLOT) evaluation->registers[i] = slot_of(evaluation, plan->slots[i]);
    }
    for (uint32_t i = 0; i < plan->operation->program->constant_count; i++) load_constant(evaluation, i);
    for (uint32_t i = plan->operation->output_count; i < plan->access_count; i++) {
        if (plan->accesses[i].reach == CPU_REACH_SINGLE) load_single(evaluation, &plan->accesses[i]);
    }
}

static void load_index(const cpu_evaluation *evaluation) {
    const cpu_plan *plan = evaluation->plan;
    int64_t first = plan->operation->program->first_index;
    for (uint32_t i = 0; i < plan->rank; i++) first += evaluation->place[i] * plan->index_strides[i];
    int64_t *lanes = evaluation->registers[plan->index_register];
    for (size_t r = 0; r < evaluation->rows; r++) {
        plan->kernels->conversions->count(lanes + r * evaluation->columns,
                                          first + (int64_t)r * plan->index_strides[plan->rank - 2],
                                          plan->index_strides[plan->rank - 1], evaluation->columns);
    }
}

void cpu_evaluation_compute(cpu_evaluation *evaluation) {
    const cpu_plan *plan = evaluation->plan;
    size_t count = evaluation->rows * evaluation->columns;
    for (uint32_t i = 0; i < plan->output_count; i++) {
        const cpu_access *access = &plan->accesses[i];
        if (access->is_direct) evaluation->registers[access->reg] = grid_of(evaluation, access).data;
    }
    for (uint32_t i = plan->operation->output_count; i < plan->access_count; i++) {
        if (plan->accesses[i].reach != CPU_REACH_SINGLE) load(evaluation, &plan->accesses[i]);
    }
    if (plan->uses_index) load_index(evaluation);
    void **registers = evaluation->registers;
    for (uint32_t i = 0; i < plan->instruction_count; i++) {
        const cpu_instruction *instruction = &plan->instructions[i];
        instruction->kernel(registers[instruction->out], registers[instruction->values[0]],
                            registers[instruction->values[1]], registers[instruction->values[2]], count);
    }
}

void cpu_evaluation_store(cpu_evaluation *evaluation) {
    const cpu_plan *plan = evaluation->plan;
    for (uint32_t i = 0; i < plan->output_count; i++) {
        if (!plan->accesses[i].is_direct) store(evaluation, &plan->accesses[i]);
    }
}

void cpu_evaluation_next(cpu_evaluation *evaluation) {
    const cpu_plan *plan = evaluation->plan;
    for (uint32_t i = plan->rank; i-- > 0;) {
        evaluation->place[i] += i == plan->rank - 1 ? plan->tile_columns : i == plan->rank - 2 ? plan->tile_rows : 1;
        if (evaluation->place[i] < plan->dims[i]) break;
        evaluation->place[i] = 0;
    }
    cpu_evaluation_measure(evaluation);
}

void cpu_evaluation_end(cpu_evaluation *evaluation) {
#if defined(__SSE2__)
    if (evaluation->plan->streams) _mm_sfence();
#else
    (void)evaluation;
#endif
}
