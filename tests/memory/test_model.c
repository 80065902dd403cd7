/* Random operations against a model, on every kind of allocator and device: 10^6 of them together.
 *
 * TARN_MODEL_OPERATIONS=N runs N in all, TARN_MODEL_SEED=S repeats a run, TARN_MODEL_TELL=1 prints each operation as it is done,
 * TARN_MODEL_ONLY=text picks the runs whose name contains the text. A failing run is shrunk to few operations, which are
 * printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "specs.h"
#include "stand.h"

typedef struct ground {
    const char *spec, *device;
    uint64_t capacity;
} ground;

static const ground grounds[] = {
    {"caching", "fake:256MiB", 256 * MIB},
    {"caching", "fake:256MiB,aliasing", 256 * MIB},
    {"caching", "fake:256MiB,flat", 256 * MIB},
    {"caching:settle=0", "fake:192MiB,aliasing", 192 * MIB},
    {"caching:settle=0", "fake:192MiB", 192 * MIB},
    {"caching:expandable=off", "fake:256MiB", 256 * MIB},
    {"caching:gc=0.5", "fake:256MiB,aliasing", 256 * MIB},
    {"caching:reserve=32MiB", "fake:256MiB", 256 * MIB},
    {"caching:ahead=16MiB", "fake:256MiB", 256 * MIB},
    {"caching:ahead=8MiB,settle=0", "fake:192MiB,aliasing", 192 * MIB},
    {"limit:128MiB | caching", "fake:256MiB", 128 * MIB},
    {"direct", "fake:256MiB", 256 * MIB},
    {"direct:kind=shared", "cpu", 0},
    {"cuda_async", "fake:256MiB", 256 * MIB},
    {"cuda_async:threshold=16MiB", "sim:256MiB,lag=1ms", 256 * MIB},
    {"limit:128MiB | arena | cuda_async", "fake:256MiB,flat", 128 * MIB},
    {"pytorch", "fake:256MiB", 256 * MIB},
    {"pytorch:expandable_segments=True", "fake:256MiB", 256 * MIB},
    {"pytorch:keep=on", "fake:256MiB,flat", 256 * MIB},
    {"pytorch:max_split_size_mb=20,roundup_power2_divisions=4", "fake:256MiB,flat", 256 * MIB},
    {"pytorch:garbage_collection_threshold=0.3,per_process_memory_fraction=0.9", "sim:256MiB,lag=1ms", 230 * MIB},
    {"pytorch:expandable_segments=True", "sim:8GiB", 0},
    {"pytorch:expandable_segments=True", "cpu", 0},
    {"predictive", "fake:256MiB", 256 * MIB},
    {"predictive:strategy=quantile", "fake:256MiB,flat", 256 * MIB},
    {"predictive:strategy=adaptive,max=128MiB", "sim:256MiB,lag=1ms", 128 * MIB},
    {"predictive:strategy=adaptive", "cpu", 0},
    {"caching", "fake:8GiB,aliasing", 0},
    {"graph", "fake:256MiB,flat", 256 * MIB},
    {"graph:maximum=128MiB", "fake:256MiB", 128 * MIB},
    {"graph", "cpu", 0},
    {"fail:every=50 | caching", "sim:256MiB", 256 * MIB},
    {"caching", "sim:256MiB,lag=1ms", 256 * MIB},
    {"caching", "sim:192MiB,aliasing=on", 192 * MIB},
    {"caching", "cpu", 0},
    {"guard:quarantine=16MiB | caching", "fake:192MiB,aliasing", 192 * MIB},
    {"limit:128MiB | guard:quarantine=4MiB | track | caching", "cpu", 128 * MIB},
    {"guard:pages=on,quarantine=32MiB | direct", "cpu", 0},
    {"track | fallback:\"limit:64MiB | direct\" | caching", "fake:192MiB", 192 * MIB},
    {"fallback:caching | fail:every=3 | track:frames=2 | caching", "cpu", 0},
    {"limit:128MiB | direct", "cpu", 128 * MIB},
    {"pool", "fake:256MiB", 256 * MIB},
    {"pool | caching", "fake:256MiB,aliasing", 256 * MIB},
    {"record:/dev/null | pool", "cpu", 0},
    {"planned", "fake:256MiB", 256 * MIB},
    {"planned | caching:settle=0", "fake:256MiB,aliasing", 256 * MIB},
    {"planned | direct", "fake:256MiB,flat", 256 * MIB},
    {"limit:128MiB | planned", "cpu", 128 * MIB},
    {"planned", "sim:256MiB,lag=1ms", 256 * MIB},
    {"arena", "fake:256MiB", 256 * MIB},
    {"arena | caching", "fake:256MiB,aliasing", 256 * MIB},
    {"limit:128MiB | arena | caching", "cpu", 128 * MIB},
    {"arena | pool | caching", "sim:256MiB,lag=1ms", 256 * MIB},
};
#define GROUNDS (sizeof grounds / sizeof grounds[0])

/* Operations that shrinking may spend. */
#define SHRINKING_BUDGET 3000000u

/* Failures whose sentences begin alike are taken for the same. */
#define SAME_BEGINNING 12

/* Leaves out operations in ever smaller groups, as long as the run still fails. */
static void shrink(model_plan plan, const model_verdict *failed) {
    size_t count = failed->operation + 1, spent = 0;
    bool *left_out = calloc(count, sizeof *left_out);
    if (left_out == NULL) return;
    plan.operations = count;
    plan.left_out = left_out;
    model_verdict verdict = *failed;
    for (size_t group = (count + 1) / 2; group > 0 && spent < SHRINKING_BUDGET; group /= 2) {
        for (size_t begin = 0; begin < count && spent < SHRINKING_BUDGET; begin += group) {
            size_t end = begin + group < count ? begin + group : count;
            bool *kept = malloc(group * sizeof *kept);
            if (kept == NULL) break;
            memcpy(kept, left_out + begin, (end - begin) * sizeof *kept);
            memset(left_out + begin, true, (end - begin) * sizeof *kept);
            model_run(&plan, &verdict);
            for (size_t i = 0; i < count; i++) spent += !left_out[i];
            bool is_same = !verdict.is_good && strncmp(verdict.sentence, failed->sentence, SAME_BEGINNING) == 0;
            if (!is_same) memcpy(left_out + begin, kept, (end - begin) * sizeof *kept);
            free(kept);
        }
    }
    plan.is_told = true;
    fprintf(stderr, "the shortest failing run that was found:\n");
    model_run(&plan, &verdict);
    fprintf(stderr, "%s\n", verdict.sentence);
    free(left_out);
}

static void run_ground(void **state) {
    const ground *here = *state;
    const char *reason = test_not_supported("the_allocator_agrees_with_the_model", here->spec, here->device);
    if (reason != NULL) {
        print_message("not supported: %s\n", reason);
        skip();
    }
    size_t operations = test_number("TARN_MODEL_OPERATIONS", 1000000 / test_slowness()) / GROUNDS;
    model_plan plan = {.spec = here->spec,
                       .device = here->device,
                       .capacity = here->capacity,
                       .is_rigid = strstr(here->device, "flat") != NULL ||
                                   strstr(here->spec, "expandable=off") != NULL ||
                                   strstr(here->spec, "graph") != NULL || strstr(here->spec, "pool") != NULL ||
                                   strstr(here->spec, "arena") != NULL ||
                                   /* A plan's memory stays as long as one buffer lies there. */
                                   strstr(here->spec, "planned") != NULL,
                       .seed = test_number("TARN_MODEL_SEED", 1),
                       .operations = operations,
                       .is_told = getenv("TARN_MODEL_TELL") != NULL};
    model_verdict verdict;
    model_run(&plan, &verdict);
    print_message("%zu operations, seed %llu: %zu allocations, %zu refusals, %zu faults\n", operations,
                  (unsigned long long)plan.seed, verdict.allocations, verdict.refusals, verdict.faults);
    if (verdict.is_good) return;
    fprintf(stderr, "%s on %s, TARN_MODEL_SEED=%llu, operation %zu: %s\n", plan.spec, plan.device,
            (unsigned long long)plan.seed, verdict.operation, verdict.sentence);
    shrink(plan, &verdict);
    fail();
}

int main(void) {
    static struct CMUnitTest tests[GROUNDS];
    static char names[GROUNDS][128];
    size_t count = 0;
    const char *only = getenv("TARN_MODEL_ONLY");
    for (size_t i = 0; i < GROUNDS; i++) {
        snprintf(names[i], sizeof names[i], "the_allocator_agrees_with_the_model [%s on %s]", grounds[i].spec,
                 grounds[i].device);
        if (only != NULL && strstr(names[i], only) == NULL) continue;
        tests[count++] = (struct CMUnitTest){names[i], run_ground, NULL, NULL, (void *)(uintptr_t)&grounds[i]};
    }
    return _cmocka_run_group_tests("memory model", tests, count, NULL, NULL);
}
