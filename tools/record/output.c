/* Events as bytes of Tarn's trace format, appended to the file.
 *
 * The file is opened for each write and closed again: a program that closes all its files, or counts on the numbers that open
 * returns, never meets the recorder's. System calls are made directly, because libc's are points where a thread may be cancelled.
 * Only whole records count: after a write that the disk cut short, the file is cut back to the last one. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/syscall.h>

/* "FILE" for the program itself, "FILE.PROCESS" for its children. */
static const char *file_name(char name[sizeof record_setting.path + 16]) {
    const record_recorder *recorder = record_state;
    size_t length = strlen(record_setting.path);
    memcpy(name, record_setting.path, length + 1);
    if (recorder->process == record_setting.first) return name;
    char digits[12];
    size_t count = 0;
    for (unsigned rest = (unsigned)recorder->process; rest != 0; rest /= 10) digits[count++] = (char)('0' + rest % 10);
    name[length++] = '.';
    while (count != 0) name[length++] = digits[--count];
    name[length] = '\0';
    return name;
}

static void say(const char *text, size_t length) { syscall(SYS_write, STDERR_FILENO, text, length); }

void record_give_up(const char *what, int error) {
    int running = RECORD_RUNNING;
    if (!atomic_compare_exchange_strong(&record_state->phase, &running, RECORD_OVER)) {
        int beginning = RECORD_BEGINNING;
        if (!atomic_compare_exchange_strong(&record_state->phase, &beginning, RECORD_OVER)) return;
    }
    char name[sizeof record_setting.path + 16], sentence[sizeof name + 256];
    const char *reason = error ? strerrordesc_np(error) : NULL;
    int length =
        snprintf(sentence, sizeof sentence, "tarn record: %s: %s%s%s: the recording ends here, the program goes on\n",
                 file_name(name), what, reason ? ": " : "", reason ? reason : "");
    if (length > 0) say(sentence, (size_t)length < sizeof sentence ? (size_t)length : sizeof sentence - 1);
}

/* A write past the limit on file sizes sends SIGXFSZ, which would end the program: it is held back and taken away. */
typedef struct held_signal {
    sigset_t mask;
    bool was_pending;
} held_signal;

static void hold_signal(held_signal *held) {
    sigset_t one, pending;
    sigemptyset(&one);
    sigaddset(&one, SIGXFSZ);
    sigpending(&pending);
    held->was_pending = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &one, &held->mask);
}

static void release_signal(const held_signal *held, int error) {
    if (error == EFBIG && !held->was_pending) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, SIGXFSZ);
        const struct timespec now = {0};
        syscall(SYS_rt_sigtimedwait, &one, NULL, &now, (size_t)_NSIG / 8);
    }
    pthread_sigmask(SIG_SETMASK, &held->mask, NULL);
}

/* Writes all bytes; an errno where that fails. */
static int write_all(int file, const uint8_t *bytes, size_t size) {
    while (size != 0) {
        long written = syscall(SYS_write, file, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

bool record_output_flush(void) {
    record_recorder *recorder = record_state;
    if (recorder->buffered == 0) return true;
    char name[sizeof record_setting.path + 16];
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | (recorder->has_file ? 0 : O_CREAT | O_TRUNC);
    int file = (int)syscall(SYS_openat, AT_FDCWD, file_name(name), flags, 0666);
    if (file < 0) {
        record_give_up("the trace cannot be written", errno);
        return false;
    }
    recorder->has_file = true;
    held_signal held;
    hold_signal(&held);
    int error = write_all(file, recorder->buffer, recorder->buffered);
    release_signal(&held, error);
    if (error != 0) {
        syscall(SYS_ftruncate, file, (off_t)recorder->file_size);
        record_give_up("the trace cannot be written", error);
    } else {
        recorder->file_size += recorder->buffered;
        recorder->buffered = 0;
    }
    syscall(SYS_close, file);
    return error == 0;
}

/* The program itself makes its file at once, so that one that cannot be written is reported before any work is done; a child
 * makes one when it has something to say. */
bool record_output_begin(void) {
    record_recorder *recorder = record_state;
    recorder->buffered = trace_encode_header(recorder->buffer, TRACE_FILE_PARTIAL);
    return recorder->process != record_setting.first || record_output_flush();
}

static bool make_room(size_t size) { return record_state->buffered + size <= RECORD_BUFFER || record_output_flush(); }

uint32_t record_output_string(const char *text, size_t length) {
    record_recorder *recorder = record_state;
    if (!make_room(length + TRACE_STRING_ROOM)) return TRACE_NO_STRING;
    recorder->buffered += trace_encode_string(recorder->buffer + recorder->buffered, text, length);
    return recorder->string_count++;
}

bool record_output_event(const record_event *event) {
    record_recorder *recorder = record_state;
    /* Tickets are the order; a clock read just before another thread's ticket may be a little behind. */
    if (event->time_ns > recorder->last_ns) recorder->last_ns = event->time_ns;
    trace_record record = {
        .kind = event->size != 0 ? TRACE_RECORD_ALLOCATE : TRACE_RECORD_FREE,
        .alignment_log2 = event->alignment_log2,
        .tag = TRACE_NO_STRING,
        .site = event->site != 0 ? record_site_string(event->site) : TRACE_NO_STRING,
        .address = event->address,
        .size = event->size,
        .time_ns = recorder->last_ns,
        .thread = event->thread,
    };
    if (!make_room(TRACE_RECORD_ROOM)) return false;
    recorder->buffered += trace_encode_event(&recorder->encoder, recorder->buffer + recorder->buffered, &record);
    return true;
}

void record_output_end(void) {
    record_recorder *recorder = record_state;
    /* A child without a single event leaves no file. */
    if (!recorder->has_file && recorder->encoder.time_ns == 0) return;
    if (!make_room(TRACE_RECORD_ROOM)) return;
    recorder->buffered += trace_encode_end(recorder->buffer + recorder->buffered);
    record_output_flush();
}
