/* The adaptor that records: it passes each call on and writes down what was asked, when, where, and by which
 * thread.
 *
 * An event is encoded into a buffer under a lock, which takes some twenty nanoseconds; only a full buffer is
 * written to the file, always up to a whole record, so that the file of a crashed program can be read. An
 * allocation is written down after it has succeeded and a free before it is passed on: so an address never seems
 * to be live twice. A file that cannot be written ends the recording with one message; the memory is not affected.
 *
 * The thread that records alone takes the lock without an atomic instruction, and what lies ready in its cache without a
 * request: a program that writes its memory would have to wait for its writes at each.
 *
 * A recorder that still lives when the program exits writes its buffer out then, and each later event at once. */
#include "record_adaptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "format.h"
#include "hal/device.h"
#include "memory/biased_lock.h"
#include "trace_map.h"

enum { buffer_size = 256 * 1024 };
/* Longer tags are cut. */
enum { tag_limit = 1024 };

typedef struct recorder {
    tarn_allocator common;
    unsigned process; /* hal_process and the process's own number when it was created */
    pid_t process_id;
    size_t usual_alignment;
    struct recorder *next; /* in the list of all; protected by list_lock */

    biased_lock lock;   /* protects what follows; held while the file is written */
    int file;           /* -1 once the recording has ended */
    bool is_unbuffered; /* the program is exiting */
    uint8_t *buffer;
    size_t used;
    off_t written;
    trace_encoder encoder;
    base_quick_clock clock;
    trace_map tags; /* hash of the text → string number in the file */
} recorder;

/* Protects `recorders`, the list of all that live. Taken before a recorder's own lock. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static recorder *recorders;

/* Numbers threads in the order of their first event. */
static uint64_t thread_number(void) {
    static atomic_uint_fast64_t last;
    static _Thread_local uint64_t mine; /* 0: none yet */
    if (mine == 0) mine = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    return mine - 1;
}

/* The child of a fork has a copy of the buffer and the same file: only the parent goes on. The number changes too
 * when the process exits, which is no reason to stop. */
static bool is_forked(const recorder *r) {
    return atomic_load_explicit(&hal_process, memory_order_relaxed) != r->process && getpid() != r->process_id;
}

/* Ends the recording; lock held. */
static void stop(recorder *r) {
    close(r->file);
    r->file = -1;
    r->used = 0;
}

/* Writes the buffer out; lock held. False: it could not be, and the recording has ended with `errno` saying why. */
static __attribute__((noinline)) bool flush(recorder *r) {
    size_t done = 0;
    while (done < r->used) {
        ssize_t count = write(r->file, r->buffer + done, r->used - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            int error = count < 0 ? errno : ENOSPC;
            /* Half a record would spoil what is there; where cutting it off fails too, nothing is left to try. */
            if (done > 0 && ftruncate(r->file, r->written) != 0) error = errno;
            stop(r);
            errno = error;
            return false;
        }
        done += (size_t)count;
    }
    r->written += (off_t)r->used;
    r->used = 0;
    return true;
}

static bool make_room(recorder *r, size_t size) { return buffer_size - r->used >= size || flush(r); }

/* The string for a tag; none where there is no host memory to remember it. Lock held, room is there. */
static uint32_t string_of(recorder *r, const char *tag) {
    if (tag == NULL || tag[0] == '\0') return TRACE_NO_STRING;
    size_t length = strnlen(tag, tag_limit);
    uint64_t hash = length;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)tag[i]) * UINT64_C(0x100000001b3);
    bool added;
    const uint64_t *string = trace_map_insert(&r->tags, hash, r->tags.count, &added);
    if (string == NULL) return TRACE_NO_STRING;
    if (added) r->used += trace_encode_string(r->buffer + r->used, tag, length);
    return (uint32_t)*string;
}

static __attribute__((noinline)) void complain(const recorder *r, int error) {
    base_log(TARN_LOG_ERROR, "%s: the trace cannot be written: %s; the recording ends here, allocation goes on",
             r->common.spec, strerror(error));
}

#define INLINED static inline __attribute__((always_inline))

/* Writes the event down; lock held. False: it could not be, as `flush` says. */
INLINED bool put(recorder *r, trace_record *event, const char *tag) {
    if (!make_room(r, TRACE_RECORD_ROOM + TRACE_STRING_ROOM + tag_limit)) return false;
    event->tag = string_of(r, tag);
    event->time_ns = (int64_t)base_quick_clock_ns(&r->clock);
    r->used += trace_encode_event(&r->encoder, r->buffer + r->used, event);
    return !r->is_unbuffered || flush(r);
}

/* Writes one event down. Not to be called with the lock held. */
INLINED void record(recorder *r, trace_record event, const char *tag) {
    if (is_forked(r)) return;
    int error = 0;
    event.thread = thread_number();
    event.site = TRACE_NO_STRING;
    biased_way way = biased_lock_enter(&r->lock);
    if (r->file >= 0 && !put(r, &event, tag)) error = errno;
    biased_lock_leave(&r->lock, way);
    if (error != 0) complain(r, error);
}

static __attribute__((noinline)) void record_refusal(recorder *r, const memory_request *request) {
    trace_record event = {
        .kind = TRACE_RECORD_OUT_OF_MEMORY, .size = request->size, .stream = hal_stream_number(request->stream)};
    record(r, event, request->tag);
}

static tarn_status record_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    recorder *r = (recorder *)allocator;
    tarn_status status = memory_allocate(allocator->upstream, request, out_block);
    if (status != TARN_OK) {
        if (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED) record_refusal(r, request);
        return status;
    }
    trace_record event = {.kind = TRACE_RECORD_ALLOCATE,
                          .address = (uint64_t)(uintptr_t)(*out_block)->address,
                          .size = request->size,
                          .stream = hal_stream_number(request->stream)};
    if (request->alignment > r->usual_alignment) event.alignment_log2 = (uint8_t)__builtin_ctzll(request->alignment);
    record(r, event, request->tag);
    return TARN_OK;
}

/* A request in the short way has neither a tag nor an alignment. */
static tarn_status record_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                           tarn_buffer **out_buffer) {
    tarn_allocator *below = allocator->upstream;
    memory_block *block = below->strategy->take_quickly(below, size, stream, allocator);
    if (block == NULL) return memory_allocate_long(allocator, size, stream, out_buffer);
    trace_record event = {.kind = TRACE_RECORD_ALLOCATE,
                          .address = (uint64_t)(uintptr_t)block->address,
                          .size = size,
                          .stream = block->stream};
    record((recorder *)allocator, event, NULL);
    memory_keep(allocator);
    *out_buffer = block_begin_life(block);
    return TARN_OK;
}

static void write_free(tarn_allocator *allocator, const memory_block *block, uint32_t stream) {
    trace_record event = {.kind = TRACE_RECORD_FREE, .address = (uint64_t)(uintptr_t)block->address, .stream = stream};
    record((recorder *)allocator, event, NULL);
}

static tarn_status record_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    write_free(allocator, block, stream == NULL ? block->stream : hal_stream_number(stream));
    return memory_free(allocator->upstream, block, stream);
}

static void record_forget(tarn_allocator *allocator, memory_block *block) {
    write_free(allocator, block, block->stream);
}

/* Frees may follow, but what was recorded so far is safe. */
static void record_shut_down(tarn_allocator *allocator) {
    recorder *r = (recorder *)allocator;
    if (is_forked(r)) return;
    int error = 0;
    biased_way way = biased_lock_enter(&r->lock);
    if (r->file >= 0 && !flush(r)) error = errno;
    biased_lock_leave(&r->lock, way);
    if (error != 0) complain(r, error);
}

/* At exit. Recorders that were inherited from a parent are left alone, and so are their locks, which a thread of the parent
 * may have held at the fork. */
static void save_all(void) {
    int error = 0;
    pthread_mutex_lock(&list_lock);
    for (recorder *r = recorders; r != NULL; r = r->next) {
        if (is_forked(r)) continue;
        biased_way way = biased_lock_enter(&r->lock);
        r->is_unbuffered = true;
        if (r->file >= 0 && !flush(r)) error = errno;
        biased_lock_leave(&r->lock, way);
    }
    pthread_mutex_unlock(&list_lock);
    if (error != 0) base_log(TARN_LOG_ERROR, "record: a trace lost its end when the program did: %s", strerror(error));
}

static void before_fork(void) { pthread_mutex_lock(&list_lock); }
static void after_fork(void) { pthread_mutex_unlock(&list_lock); }

static bool install_failed;

static void install(void) {
    install_failed = pthread_atfork(before_fork, after_fork, after_fork) != 0 || atexit(save_all) != 0;
}

static void enlist(recorder *r) {
    pthread_mutex_lock(&list_lock);
    r->next = recorders;
    recorders = r;
    pthread_mutex_unlock(&list_lock);
}

static void delist(recorder *r) {
    pthread_mutex_lock(&list_lock);
    recorder **link = &recorders;
    while (*link != r) link = &(*link)->next;
    *link = r->next;
    pthread_mutex_unlock(&list_lock);
}

/* Ends the file; nobody else uses the recorder any more. */
static void finish(recorder *r) {
    if (r->file < 0) return;
    if (is_forked(r)) {
        stop(r);
        return;
    }
    /* Where the buffer cannot be written, the recording has ended and the file is closed. */
    bool written = make_room(r, TRACE_RECORD_ROOM);
    if (written) {
        r->used += trace_encode_end(r->buffer + r->used);
        written = flush(r) && close(r->file) == 0;
    }
    int error = written ? 0 : errno;
    r->file = -1;
    if (error != 0) complain(r, error);
}

static void record_destroy(tarn_allocator *allocator) {
    recorder *r = (recorder *)allocator;
    delist(r);
    finish(r);
    biased_lock_end(&r->lock);
    trace_map_discard(&r->tags);
    base_free(r->buffer);
    memory_allocator_end(allocator);
}

static tarn_status open_file(const char *path, int *out_file) {
    /* Not blocking, so that a pipe that nobody reads is an error and not a wait. For reading too: a snapshot holds what
     * was recorded so far. */
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (file < 0) return base_fail(TARN_IO_ERROR, "record: %s cannot be created: %s", path, strerror(errno));
    struct stat about;
    if (fstat(file, &about) != 0 || (!S_ISREG(about.st_mode) && !S_ISCHR(about.st_mode))) {
        close(file);
        return base_fail(TARN_IO_ERROR, "record: %s is no regular file", path);
    }
    *out_file = file;
    return TARN_OK;
}

/* Reads what the file holds up to `size`, from the beginning. */
static tarn_status read_back(const recorder *r, int file, size_t size, uint8_t **out_data) {
    uint8_t *data = base_allocate(size, 1);
    if (data == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a recording of %zu bytes", r->common.spec, size);
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(file, data + done, size - done, (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            int error = count < 0 ? errno : ENODATA;
            base_free(data);
            return base_fail(TARN_IO_ERROR, "%s: the recording cannot be read back: %s", r->common.spec,
                             strerror(error));
        }
        done += (size_t)count;
    }
    *out_data = data;
    return TARN_OK;
}

tarn_status record_adaptor_read_back(tarn_allocator *allocator, uint8_t **out_data, size_t *out_size) {
    recorder *r = (recorder *)allocator;
    struct stat about;
    int error = 0, file = -1;
    biased_way way = biased_lock_enter(&r->lock);
    bool is_recording = r->file >= 0 && !is_forked(r);
    if (is_recording) {
        file = flush(r) ? fcntl(r->file, F_DUPFD_CLOEXEC, 0) : -1;
        if (file < 0) error = errno;
    }
    bool has_ended = is_recording && r->file < 0;
    off_t written = r->written;
    biased_lock_leave(&r->lock, way);
    if (has_ended) complain(r, error);
    if (error != 0)
        return base_fail(TARN_IO_ERROR, "%s: the recording cannot be read back: %s", r->common.spec, strerror(error));
    *out_data = NULL;
    *out_size = 0;
    if (file < 0) return TARN_OK;
    /* What goes to a terminal or to /dev/null cannot be read again. The file only grows, so that it is read without the
     * lock. */
    tarn_status status = TARN_OK;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        status = read_back(r, file, (size_t)written, out_data);
        if (status == TARN_OK) *out_size = (size_t)written;
    }
    close(file);
    return status;
}

static tarn_status record_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                 tarn_allocator **out_allocator) {
    const char *path = NULL;
    tarn_status status = memory_argument_text(arguments, "", &path);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: record needs a file, as in record:out.tarn",
                         arguments->column);
    recorder *r = base_allocate(1, sizeof *r);
    uint8_t *buffer = base_allocate(buffer_size, 1);
    bool has_lock = r != NULL && biased_lock_begin(&r->lock);
    if (!has_lock || buffer == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "record: no host memory for a buffer of %d bytes", buffer_size);
        goto fail;
    }
    /* Handlers run before a fork in the reverse order: the list's lock is taken before those of the recorders, which were
     * installed with the first of these. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    if (install_failed) {
        status = base_fail(TARN_UNAVAILABLE, "record: the handlers for fork and exit cannot be installed");
        goto fail;
    }
    status = open_file(path, &r->file);
    if (status != TARN_OK) goto fail;
    r->buffer = buffer;
    r->used = trace_encode_header(buffer, 0);
    base_quick_clock_begin(&r->clock);
    r->process = atomic_load_explicit(&hal_process, memory_order_relaxed);
    r->process_id = getpid();
    r->usual_alignment = hal_device_properties(device)->alignment;
    memory_allocator_begin(&r->common, &record_adaptor, device, upstream);
    enlist(r);
    *out_allocator = &r->common;
    return TARN_OK;

fail:
    if (has_lock) biased_lock_end(&r->lock);
    base_free(buffer);
    base_free(r);
    return status;
}

const memory_strategy record_adaptor = {
    .name = "record",
    .is_adaptor = true,
    .has_places = true,
    .create = record_create,
    .destroy = record_destroy,
    .allocate = record_allocate,
    .free = record_free,
    .allocate_quickly = record_allocate_quickly,
    .shut_down = record_shut_down,
    .forget = record_forget,
};
