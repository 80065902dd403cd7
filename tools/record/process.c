/* Settings, start, end, and what becomes of children.
 *
 *     TARN_RECORD_FILE      where the trace goes; without it nothing is recorded
 *     TARN_RECORD_MIN_SIZE  smaller blocks are not recorded: "4KiB", "65536"
 *     TARN_RECORD_FRAMES    how many frames a call site has: 1, the default, to 16
 *     TARN_RECORD_PROCESS   set by the recorder for the program's children: which process began which file
 *
 * The program writes FILE. A child, forked or started, inherits the settings and writes FILE.PROCESS with its own number. A
 * process that becomes another program by exec writes its file anew, so that `tarn record -- env X=1 program` leaves the trace of
 * the program. A program that dies by a signal leaves what was written up to the last tenth of a second in which it allocated. */
#include "record.h"

#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/syscall.h>

#define EXPORTED __attribute__((visibility("default")))

record_settings record_setting = {.minimum = SIZE_MAX, .mapping_minimum = SIZE_MAX, .frames = 1};
record_recorder *record_state;

static void complain(const char *sentence, const char *value) {
    char text[512];
    int length = snprintf(text, sizeof text, "tarn record: %s: %.300s\n", sentence, value);
    if (length > 0) syscall(SYS_write, STDERR_FILENO, text, (size_t)length);
}

/* "4096", "4KiB", "1.5m": as tarn_size_parse reads them. */
static bool parse_size(const char *text, size_t *out_size) {
    static const char units[] = "kmgtpe";
    char *end;
    if (*text < '0' || *text > '9') return false;
    unsigned long long whole = strtoull(text, &end, 10);
    double part = 0, scale = 0.1;
    if (*end == '.') {
        for (end++; *end >= '0' && *end <= '9'; end++, scale /= 10) part += (*end - '0') * scale;
    }
    unsigned shift = 0;
    const char *unit = *end ? strchr(units, *end | 0x20) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
        if (*end == 'i' || *end == 'I') end++;
    }
    if (*end == 'b' || *end == 'B') end++;
    if (*end != '\0' || whole > SIZE_MAX >> shift) return false;
    *out_size = ((size_t)whole << shift) + (size_t)(part * (double)(1ull << shift));
    return true;
}

static size_t minimum_from_environment(void) {
    const char *text = getenv("TARN_RECORD_MIN_SIZE");
    size_t minimum = 1;
    if (text && *text && !parse_size(text, &minimum)) complain("TARN_RECORD_MIN_SIZE is no size and is ignored", text);
    /* Blocks of no bytes are no memory. */
    return minimum > 1 ? minimum : 1;
}

static unsigned frames_from_environment(void) {
    const char *text = getenv("TARN_RECORD_FRAMES");
    if (!text || !*text) return 1;
    char *end;
    unsigned long frames = strtoul(text, &end, 10);
    if (*end == '\0' && frames >= 1 && frames <= RECORD_FRAMES) return (unsigned)frames;
    complain("TARN_RECORD_FRAMES is no number from 1 to 16 and is ignored", text);
    return 1;
}

/* Which process writes `path` itself: the mark in the environment says "NUMBER:PATH". Where it is missing, or of another recording
 * inside which this one was started, it is this process. */
static pid_t first_process(const char *path) {
    const char *mark = getenv("TARN_RECORD_PROCESS");
    if (mark) {
        char *end;
        long number = strtol(mark, &end, 10);
        if (number > 0 && *end == ':' && strcmp(end + 1, path) == 0) return (pid_t)number;
    }
    char text[sizeof record_setting.path + 16];
    snprintf(text, sizeof text, "%ld:%s", (long)getpid(), path);
    setenv("TARN_RECORD_PROCESS", text, 1);
    return getpid();
}

/* The program may change its folder. */
static bool keep_path(const char *path) {
    size_t used = 0;
    if (*path != '/') {
        if (!getcwd(record_setting.path, sizeof record_setting.path)) return false;
        used = strlen(record_setting.path);
        record_setting.path[used++] = '/';
    }
    if (strlen(path) >= sizeof record_setting.path - used) return false;
    strcpy(record_setting.path + used, path);
    return true;
}

/* Where the state is all zero: in a process that has not recorded yet. */
static bool begin(record_recorder *recorder) {
    int phase = RECORD_NOT_BEGUN;
    if (!atomic_compare_exchange_strong(&recorder->phase, &phase, RECORD_BEGINNING)) {
        /* Another thread is at it; what this one allocates meanwhile is not recorded. */
        return phase == RECORD_RUNNING;
    }
    int saved = errno;
    recorder->process = getpid();
    if (record_setting.frames > 1) recorder->stacks = record_map(RECORD_STACKS * sizeof *recorder->stacks);
    atomic_store_explicit(&recorder->written_ns, record_clock_ns(), memory_order_relaxed);
    bool begun = record_output_begin();
    errno = saved;
    if (begun) atomic_store_explicit(&recorder->phase, RECORD_RUNNING, memory_order_release);
    return begun;
}

bool record_is_on(void) {
    record_recorder *recorder = record_state;
    int phase = atomic_load_explicit(&recorder->phase, memory_order_acquire);
    return phase == RECORD_RUNNING || (phase == RECORD_NOT_BEGUN && begin(recorder));
}

void record_finish(void) {
    record_recorder *recorder = record_state;
    /* A vforked child shares the parent's memory, and its end is not the parent's. */
    if (!recorder || recorder->process != getpid()) return;
    if (atomic_load_explicit(&recorder->phase, memory_order_acquire) != RECORD_RUNNING) return;
    record_drain_all();
    int running = RECORD_RUNNING;
    while (atomic_exchange_explicit(&recorder->writing, 1, memory_order_acquire) != 0) sched_yield();
    if (atomic_compare_exchange_strong(&recorder->phase, &running, RECORD_OVER)) record_output_end();
    atomic_store_explicit(&recorder->writing, 0, memory_order_release);
}

__attribute__((constructor)) static void start(void) {
    record_find_functions();
    const char *path = getenv("TARN_RECORD_FILE");
    if (!path || !*path) return;
    size_t minimum = minimum_from_environment();
    unsigned frames = frames_from_environment();
    if (!keep_path(path)) {
        complain("TARN_RECORD_FILE is too long a path; nothing is recorded", path);
        return;
    }
    record_setting.first = first_process(path);
    record_recorder *state = record_map(sizeof *state);
    if (!state || madvise(state, sizeof *state, MADV_WIPEONFORK) != 0) {
        complain("the kernel has no memory for it or is older than 4.14; nothing is recorded", path);
        return;
    }
    record_setting.frames = frames;
    record_state = state;
    /* The first backtrace loads a library: it must not come from inside malloc. */
    void *frame;
    if (frames > 1) backtrace(&frame, 1);
    if (at_quick_exit(record_finish) != 0)
        complain("what is recorded last may be lost where the program calls quick_exit", path);
    if (!begin(state)) return;
    /* From here on, malloc and mmap look at what passes by. */
    record_setting.mapping_minimum = minimum > RECORD_MAPPING_MINIMUM ? minimum : RECORD_MAPPING_MINIMUM;
    record_setting.minimum = minimum;
}

__attribute__((destructor)) static void stop(void) { record_finish(); }

/* These end the process past all destructors. */
EXPORTED _Noreturn void _exit(int status) {
    record_finish();
    for (;;) syscall(SYS_exit_group, status);
}

EXPORTED _Noreturn void _Exit(int status) { _exit(status); }
