/* Monotonic time, from the kernel's clock that is not set back; the processor's counter is read between two readings of
 * it. */
#include "base/clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IS_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* How long a reading of the clock is gone on from. The clock's pace is corrected by at most 500 parts in a million. */
static const uint64_t trusted_ns = 1000000;
/* A pace is taken from readings no further apart: the counter goes on while a machine sleeps, and the clock does not. */
static const uint64_t farthest_ns = 1000000000;
/* A reading of the clock that takes more counts was interrupted: nobody knows when in that time the clock was read. */
static const uint64_t slowest_reading = 500;

uint64_t base_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
static inline uint64_t count(void) { return __builtin_ia32_rdtsc(); }

static bool keeps_the_time(void) {
    char source[8] = "";
    int file = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t size = read(file, source, sizeof source - 1);
    close(file);
    return size == 4 && strcmp(source, "tsc\n") == 0;
}
#else
static inline uint64_t count(void) { return 0; }
static bool keeps_the_time(void) { return false; }
#endif

void base_quick_clock_begin(base_quick_clock *clock) { *clock = (base_quick_clock){.has_counter = keeps_the_time()}; }

static uint64_t answer(base_quick_clock *clock, uint64_t now) {
    if (!IS_LIKELY(now >= clock->last_ns)) return clock->last_ns;
    return clock->last_ns = now;
}

/* Whether two paces in turn are the same but for what readings are off by: a counter that has jumped meanwhile shows another one. */
static bool agree(uint64_t pace, uint64_t other) {
    uint64_t difference = pace > other ? pace - other : other - pace;
    return difference <= other / 256;
}

/* Reads the clock itself, and learns the counter's pace from how far both have gone. */
static __attribute__((noinline)) uint64_t read_clock(base_quick_clock *clock) {
    if (!clock->has_counter) return answer(clock, base_clock_ns());
    uint64_t before = count(), now = base_clock_ns(), after = count();
    if (after - before > slowest_reading) return answer(clock, now);
    uint64_t counts = before - clock->counted, passed = now - clock->read_ns, pace = 0;
    bool is_first = clock->counted == 0;
    /* Too early to tell the pace by. */
    if (!is_first && passed < trusted_ns && counts < UINT64_MAX / 2) return answer(clock, now);
    if (!is_first && passed <= farthest_ns && counts != 0) pace = (passed << 32) / counts;
    bool is_known = pace != 0 && agree(pace, clock->pace);
    clock->span = is_known ? (trusted_ns << 32) / pace : 0;
    clock->pace = pace;
    clock->counted = before;
    clock->read_ns = now;
    return answer(clock, now);
}

uint64_t base_quick_clock_ns(base_quick_clock *clock) {
    if (!IS_LIKELY(clock->span != 0)) return read_clock(clock);
    uint64_t counts = count() - clock->counted;
    if (!IS_LIKELY(counts < clock->span)) return read_clock(clock);
    return answer(clock, clock->read_ns + (counts * clock->pace >> 32));
}
