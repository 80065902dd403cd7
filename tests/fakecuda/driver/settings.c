/* Settings from the environment. A value that is not understood ends the process: a test must not run with another setting than
 * the one that it asked for. */
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long number_of(const char *name, unsigned long long otherwise, unsigned long long most) {
    const char *text = getenv(name);
    if (text == NULL || text[0] == 0) return otherwise;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].name) != 0 || end == text || errno != 0) continue;
        if (value > most >> units[i].shift) break;
        return value << units[i].shift;
    }
    fprintf(stderr, "fakecuda: %s=%s is not a number up to %llu\n", name, text, most);
    abort();
}

static void text_of(const char *name, char *out, size_t size) {
    const char *text = getenv(name);
    int length = snprintf(out, size, "%s", text != NULL ? text : "");
    if (length >= 0 && (size_t)length < size) return;
    fprintf(stderr, "fakecuda: %s is too long\n", name);
    abort();
}

void settings_read(fake_settings *settings) {
    settings->version = (int)number_of("FAKECUDA_VERSION", 13000, 100000);
    settings->devices = (int)number_of("FAKECUDA_DEVICES", 2, MOST_DEVICES);
    settings->memory = number_of("FAKECUDA_MEMORY", 8ull << 30, 1ull << 42) / GRANULE * GRANULE;
    settings->peers = number_of("FAKECUDA_PEERS", 1, 1) != 0;
    settings->pools = number_of("FAKECUDA_POOLS", 1, 1) != 0;
    settings->concurrent = number_of("FAKECUDA_CONCURRENT", 1, 1) != 0;
    settings->seed = number_of("FAKECUDA_SEED", 1, ~0ull);
    settings->threads = number_of("FAKECUDA_THREADS", 0, 1) != 0;
    settings->delay_microseconds = (unsigned)number_of("FAKECUDA_DELAY", 50, 1000000);
    settings->idle_milliseconds = (unsigned)number_of("FAKECUDA_IDLE", 20, 1000000);
    settings->abort_at_violation = number_of("FAKECUDA_ABORT", 0, 1) != 0;
    text_of("FAKECUDA_MISSING", settings->missing, sizeof settings->missing);
    text_of("FAKECUDA_KERNELS", settings->kernels, sizeof settings->kernels);
    static bool has_faults;
    if (!has_faults) {
        has_faults = true;
        fault_reset();
    }
}
