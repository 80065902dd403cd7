/* The recorder: a library that is preloaded into a program and writes down what the program asks malloc and mmap for.
 *
 *     malloc.c, mapping.c    the functions that stand before libc's
 *        pointers.c          which blocks are recorded: asked at every free when small blocks are skipped
 *     queue.c                events of all threads in one order
 *     output.c               events as bytes of Tarn's trace format, appended to the file
 *        sites.c             names of the call sites
 *     process.c              settings, start, end, children
 *
 * Order. An event's place in the trace is a ticket from one atomic counter. A block's ticket is taken after libc handed it
 * out and before libc gets it back. So when an address is used again, its free has the earlier ticket, and a free
 * on one thread comes after the allocation on another, whatever the threads do.
 *
 * Memory. Nothing here calls malloc. All that changes while recording lies in one mapping, struct record_recorder, which the kernel
 * hands to a forked child zeroed; all zero means "not begun", so that a child begins a recording of its own with its
 * first event and no lock or half-written event of its parent can harm it. */
#ifndef RECORD_H
#define RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/elf_image.h"
#include "trace/format.h"

/* Events in flight; a power of two. */
#define RECORD_QUEUE 16384u
/* After so many events, or so much time since the last ones were written, a thread writes what is there. */
#define RECORD_BATCH 4096u
#define RECORD_INTERVAL_NS 100000000
#define RECORD_BUFFER 65536u
#define RECORD_STRIPES 64u
#define RECORD_COUNTERS 32768u
#define RECORD_STRIPE_ROOM 64u
#define RECORD_MAPPING_MINIMUM 65536u
#define RECORD_MAPPINGS 16384u
#define RECORD_MODULES 512u
#define RECORD_PAGE 4096u
#define RECORD_SITE_TEXT 512u
#define RECORD_FRAMES 16u
#define RECORD_STACKS 65536u

/* libc's own functions, or those of the allocator that the program brings. */
typedef struct record_functions {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *memory, size_t size);
    void (*free)(void *memory);
    int (*posix_memalign)(void **out_memory, size_t alignment, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
    size_t (*malloc_usable_size)(void *memory);
    void *(*mmap)(void *address, size_t length, int protection, int flags, int file, off_t offset);
    int (*munmap)(void *address, size_t length);
    void *(*mremap)(void *address, size_t old_length, size_t new_length, int flags, ...);
} record_functions;

/* Written once, before the program's first thread starts. */
typedef struct record_settings {
    size_t minimum;         /* bytes: smaller blocks are not recorded */
    size_t mapping_minimum; /* bytes: the same for mmap */
    unsigned frames;        /* of a call site */
    pid_t first;            /* the process that writes to `path` itself; others add their number to it */
    char path[4096];        /* absolute */
} record_settings;

typedef struct record_event {
    _Atomic uint64_t ready; /* ticket + 1, stored last (release): the rest is there */
    uint64_t address;
    uint64_t size; /* bytes; 0 is a free */
    int64_t time_ns;
    uintptr_t site; /* return address, or a record_stack where more than one frame is asked for */
    uint32_t thread;
    uint8_t alignment_log2;
} record_event;

typedef struct record_lock {
    atomic_int taken;
} record_lock;

/* Part of the recorded blocks: open addressing, linear probing, at most three quarters full. */
typedef struct record_stripe {
    record_lock lock;
    uintptr_t *table; /* 0: empty place */
    size_t room, used;
} record_stripe;

typedef struct record_mapping {
    uintptr_t start, end;
} record_mapping;

/* A file that code was loaded from, as /proc/self/maps tells it. */
typedef struct record_module {
    uintptr_t start, end; /* where it lies */
    uint64_t offset;      /* what part of the file that is */
    base_elf_image image; /* the file, mapped; no bytes where it cannot be read */
    bool image_tried;
    char path[256];
} record_module;

typedef struct record_stack {
    _Atomic uint64_t state; /* 0 empty, 1 being written, else the hash */
    uintptr_t frames[RECORD_FRAMES];
    unsigned count;
} record_stack;

/* Call site to string number; only the thread that writes uses it. */
typedef struct record_site {
    uintptr_t site;
    uint32_t string;
} record_site;

typedef enum record_phase {
    RECORD_NOT_BEGUN = 0, /* by this process */
    RECORD_BEGINNING,
    RECORD_RUNNING,
    RECORD_OVER /* the end, or a failure that was reported */
} record_phase;

typedef struct record_recorder {
    _Atomic int phase;
    pid_t process;

    /* queue.c */
    _Alignas(64) _Atomic uint64_t next;    /* ticket of the next event */
    _Alignas(64) _Atomic uint64_t written; /* events before this one are out of the queue */
    _Atomic int64_t written_ns;            /* when the last ones were */
    atomic_int writing;                    /* a thread is at it: the fields of output.c and sites.c are its own */
    record_event events[RECORD_QUEUE];

    /* output.c */
    bool has_file;
    int64_t last_ns;
    uint64_t file_size; /* bytes, whole records */
    uint32_t string_count;
    trace_encoder encoder;
    size_t buffered;
    uint8_t buffer[RECORD_BUFFER];

    /* sites.c */
    record_site *sites;
    size_t site_room, site_count;
    size_t module_count;
    record_module modules[RECORD_MODULES];
    record_stack *stacks; /* set up at the beginning where frames > 1 */

    /* pointers.c: counters[h] is the number of recorded blocks whose address hashes to h, so 0 means none. */
    _Atomic uint16_t counters[RECORD_COUNTERS];
    record_stripe stripes[RECORD_STRIPES];

    /* mapping.c: sorted, without overlaps */
    record_lock mapping_lock;
    _Atomic size_t mapping_count;
    record_mapping mappings[RECORD_MAPPINGS];
} record_recorder;

extern record_functions record_next;
extern record_settings record_setting;
extern record_recorder *record_state;

/* Whether this process records; begins where it has not begun. */
bool record_is_on(void);
/* Writes what is there and ends the recording: at exit. */
void record_finish(void);
/* Ends the recording with one sentence to stderr, for which `error` is an errno or 0. The program goes on. */
void record_give_up(const char *what, int error);
/* Looks up record_next where no call has yet. */
void record_find_functions(void);
/* Memory from the kernel; NULL when there is none. */
void *record_map(size_t size);
int64_t record_clock_ns(void);

void record_lock_take(record_lock *lock);
void record_lock_drop(record_lock *lock);

/* Where the program's call came from; inline, so that the return address is the hook's own. */
#define RECORD_SITE() ((uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0)))

/* One event: `size` 0 is a free. Keeps errno. */
void record_emit(uintptr_t address, size_t size, unsigned alignment_log2, uintptr_t site);
/* Writes all events that are complete, unless another thread is writing. False when it is. */
bool record_drain(void);
/* The same for all events there are, waiting a little for threads that are in the middle of one. */
void record_drain_all(void);

bool record_pointers_add(uintptr_t address);
bool record_pointers_remove(uintptr_t address);

/* Called by the writing thread only. False: the recording has ended. */
bool record_output_begin(void);
bool record_output_event(const record_event *event);
bool record_output_flush(void);
void record_output_end(void);
/* The number of the string that names the call site, which is written first when it is new. */
uint32_t record_site_string(uintptr_t site);
/* Defines the next string of the file. TRACE_NO_STRING: the recording has ended. */
uint32_t record_output_string(const char *text, size_t length);
/* The site of a record: the address itself, or the frames above it. */
uintptr_t record_stack_of(uintptr_t address);

#endif
