/* A device's figures under PyTorch's names. What comes and goes is counted at once, under the ledger's lock; what only Tarn's blocks show
 * is looked at when somebody asks. */
#include <stdlib.h>
#include <string.h>

#include "torch/state.h"

void torch_ledger_begin(torch_ledger *ledger) {
    pthread_mutex_init(&ledger->looking, NULL);
    pthread_mutex_init(&ledger->lock, NULL);
}

static void add(tarn_torch_figure *figure, int64_t amount) {
    figure->current += amount;
    figure->allocated += amount;
    if (figure->current > figure->peak) figure->peak = figure->current;
}

static void subtract(tarn_torch_figure *figure, int64_t amount) {
    figure->current -= amount;
    figure->freed += amount;
}

static void set(tarn_torch_figure *figure, int64_t value) {
    if (value >= figure->current) add(figure, value - figure->current);
    else subtract(figure, figure->current - value);
}

/* Counts for all and for one of the sizes. */
static void count(torch_ledger *ledger, tarn_torch_figure_name name, tarn_torch_sizes sizes, int64_t amount) {
    tarn_torch_figure *figures = ledger->stats.figures[name];
    if (amount >= 0) {
        add(&figures[TARN_TORCH_ALL], amount);
        add(&figures[sizes], amount);
    } else {
        subtract(&figures[TARN_TORCH_ALL], -amount);
        subtract(&figures[sizes], -amount);
    }
}

void torch_count_allocation(torch_device *device, size_t size, size_t capacity) {
    torch_ledger *ledger = &device->ledger;
    tarn_torch_sizes sizes = torch_sizes_of_request(size);
    pthread_mutex_lock(&ledger->lock);
    count(ledger, TARN_TORCH_ALLOCATION, sizes, 1);
    count(ledger, TARN_TORCH_ACTIVE, sizes, 1);
    count(ledger, TARN_TORCH_ALLOCATED_BYTES, sizes, (int64_t)capacity);
    count(ledger, TARN_TORCH_ACTIVE_BYTES, sizes, (int64_t)capacity);
    count(ledger, TARN_TORCH_REQUESTED_BYTES, sizes, (int64_t)size);
    pthread_mutex_unlock(&ledger->lock);
}

void torch_count_free(torch_device *device, size_t size, size_t capacity, bool is_shared) {
    torch_ledger *ledger = &device->ledger;
    tarn_torch_sizes sizes = torch_sizes_of_request(size);
    pthread_mutex_lock(&ledger->lock);
    count(ledger, TARN_TORCH_ALLOCATION, sizes, -1);
    count(ledger, TARN_TORCH_ALLOCATED_BYTES, sizes, -(int64_t)capacity);
    count(ledger, TARN_TORCH_REQUESTED_BYTES, sizes, -(int64_t)size);
    if (!is_shared) {
        count(ledger, TARN_TORCH_ACTIVE, sizes, -1);
        count(ledger, TARN_TORCH_ACTIVE_BYTES, sizes, -(int64_t)capacity);
    }
    pthread_mutex_unlock(&ledger->lock);
}

static void set_all(torch_ledger *ledger, tarn_torch_figure_name name, const int64_t values[TARN_TORCH_SIZES]) {
    for (int sizes = 0; sizes < TARN_TORCH_SIZES; sizes++) set(&ledger->stats.figures[name][sizes], values[sizes]);
}

void torch_count_segments(torch_device *device, const int64_t counts[TARN_TORCH_SIZES],
                          const int64_t bytes[TARN_TORCH_SIZES]) {
    torch_ledger *ledger = &device->ledger;
    pthread_mutex_lock(&ledger->lock);
    set_all(ledger, TARN_TORCH_SEGMENT, counts);
    set_all(ledger, TARN_TORCH_RESERVED_BYTES, bytes);
    pthread_mutex_unlock(&ledger->lock);
}

void tarn_torch_count_failure(int number) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->ledger.lock);
    device->ledger.stats.failures++;
    pthread_mutex_unlock(&device->ledger.lock);
}

/* Asking. */

/* Blocks of a kind, by sizes. */
typedef struct block_sum {
    int64_t count[TARN_TORCH_SIZES], bytes[TARN_TORCH_SIZES];
} block_sum;

static void sum_up(block_sum *sum, tarn_torch_sizes sizes, uint64_t bytes) {
    sum->count[TARN_TORCH_ALL]++;
    sum->count[sizes]++;
    sum->bytes[TARN_TORCH_ALL] += (int64_t)bytes;
    sum->bytes[sizes] += (int64_t)bytes;
}

/* As PyTorch counts them: those that wait, and free ones that share a plain segment with others. */
static void sum_blocks(const tarn_torch_block *blocks, size_t block_count, block_sum *pending, block_sum *split) {
    for (size_t begin = 0, end; begin < block_count; begin = end) {
        uint64_t size = 0;
        for (end = begin; end < block_count && blocks[end].segment == blocks[begin].segment; end++)
            size += blocks[end].size;
        bool is_split = end - begin > 1 && !blocks[begin].is_expandable;
        for (size_t i = begin; i < end; i++) {
            if (blocks[i].state == TARN_BLOCK_PENDING)
                sum_up(pending, torch_sizes_of_request(blocks[i].size), blocks[i].size);
            if (blocks[i].state == TARN_BLOCK_CACHED && is_split)
                sum_up(split, torch_sizes_of_segment(size), blocks[i].size);
        }
    }
}

/* What others count for the plug-in. */
static void ask_others(const torch_device *device, tarn_torch_stats *out_stats) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    tarn_device_counters counters = {.struct_size = sizeof counters};
    if (tarn_allocator_stats(device->allocator, &stats) == TARN_OK) out_stats->retries = (int64_t)stats.retries;
    if (tarn_device_counters_get(device->device, &counters) != TARN_OK) return;
    out_stats->device_waits = (int64_t)counters.device_waits;
    out_stats->driver_allocs = (int64_t)counters.driver_allocs;
    out_stats->driver_frees = (int64_t)counters.driver_frees;
}

tarn_status tarn_torch_stats_get(int number, tarn_torch_stats *out_stats) {
    torch_device *device = torch_device_known(number);
    tarn_torch_block *blocks = NULL;
    size_t block_count = 0;
    if (device == NULL) {
        memset(out_stats, 0, sizeof *out_stats);
        return TARN_OK;
    }
    torch_look(device);
    tarn_status status = tarn_torch_blocks_get(number, &blocks, &block_count);
    if (status != TARN_OK) return status;
    block_sum pending = {.count = {0}}, split = {.count = {0}};
    sum_blocks(blocks, block_count, &pending, &split);
    tarn_torch_blocks_free(blocks);
    tarn_torch_stats others = {.retries = 0};
    ask_others(device, &others);
    torch_ledger *ledger = &device->ledger;
    pthread_mutex_lock(&ledger->lock);
    for (int sizes = 0; sizes < TARN_TORCH_SIZES; sizes++) {
        tarn_torch_figure(*figures)[TARN_TORCH_SIZES] = ledger->stats.figures;
        set(&figures[TARN_TORCH_ACTIVE][sizes], figures[TARN_TORCH_ALLOCATION][sizes].current + pending.count[sizes]);
        set(&figures[TARN_TORCH_ACTIVE_BYTES][sizes],
            figures[TARN_TORCH_ALLOCATED_BYTES][sizes].current + pending.bytes[sizes]);
    }
    set_all(ledger, TARN_TORCH_INACTIVE_SPLIT, split.count);
    set_all(ledger, TARN_TORCH_INACTIVE_SPLIT_BYTES, split.bytes);
    *out_stats = ledger->stats;
    out_stats->retries = others.retries - ledger->bases.retries;
    pthread_mutex_unlock(&ledger->lock);
    out_stats->device_waits = others.device_waits;
    out_stats->driver_allocs = others.driver_allocs;
    out_stats->driver_frees = others.driver_frees;
    return TARN_OK;
}

void tarn_torch_reset_peaks(int number) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->ledger.lock);
    for (int name = 0; name < TARN_TORCH_FIGURES; name++) {
        tarn_torch_figure *figures = device->ledger.stats.figures[name];
        for (int sizes = 0; sizes < TARN_TORCH_SIZES; sizes++) figures[sizes].peak = figures[sizes].current;
    }
    pthread_mutex_unlock(&device->ledger.lock);
}

void tarn_torch_reset_totals(int number) {
    torch_device *device = torch_device_known(number);
    tarn_torch_stats others = {.retries = 0};
    if (device == NULL) return;
    ask_others(device, &others);
    pthread_mutex_lock(&device->ledger.lock);
    for (int name = 0; name < TARN_TORCH_FIGURES; name++) {
        tarn_torch_figure *figures = device->ledger.stats.figures[name];
        for (int sizes = 0; sizes < TARN_TORCH_SIZES; sizes++) figures[sizes].allocated = figures[sizes].freed = 0;
    }
    device->ledger.stats.failures = 0;
    device->ledger.bases = others;
    pthread_mutex_unlock(&device->ledger.lock);
}
