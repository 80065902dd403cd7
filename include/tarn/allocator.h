/* Allocators: strategies that hand out buffers.
 *
 * A stack of allocators is named by text, outermost first:
 *
 *     record:out.tarn | limit:8GiB | caching:gc=0.9
 *
 * Each element is a name, and after a colon its arguments: values and key=value pairs, parted by commas. `direct`,
 * `cuda_async`, `caching`, `graph`, `predictive` and `pytorch` are strategies and stand last. `pool` and `arena` take their memory in pieces from the strategy that
 * stands after them, or from the device where they stand last; `planned` from what stands after it, or from a `caching` of its own. The adaptors stand before a strategy:
 *
 *     direct[:kind=device|pinned|managed|host|shared]   shared: what other processes can be given (tarn/interprocess.h)
 *     cuda_async[:threshold=SIZE, follow_events=on|off, opportunistic=on|off, add_dependencies=on|off]
 *                            the driver's own pool of stream-ordered memory, below
 *     caching[:expandable=on|off, gc=FRACTION, kind=…, thread_cache=SIZE, settle=N, reserve=SIZE, ahead=SIZE]   ahead: below
 *     graph[:initial=SIZE, maximum=SIZE, kind=…, sequential=on|off, planned=on|off]   fixed addresses for captured work
 *                            (tarn/graph_pool.h)
 *     predictive[:strategy=fixed|adaptive|quantile, factor=1.2, growth=1.5, shrink=0.5, quantile=0.9, max=SIZE, kind=…,
 *                in_place=on|off]   buffers for shapes that vary: tarn/predictive.h
 *     pytorch[:SETTING=VALUE, …]   a model of PyTorch's allocator, to see what its settings would do:
 *         max_split_size_mb=N, max_non_split_rounding_mb=N, large_segment_size_mb=N
 *         roundup_power2_divisions=N, or for sizes in MiB from … on: roundup_power2_divisions=[256:1,512:2,>:4]
 *         garbage_collection_threshold=FRACTION  (has an effect with the next one alone)
 *         per_process_memory_fraction=FRACTION
 *         expandable_segments=True|False  (without virtual memory: a warning, once, and plain segments)
 *         release_lock_on_cudamalloc=True|False
 *         keep=on|off   (PyTorch has it for captures alone) on: what it has taken goes back only by empty_cache and at the end, since
 *                       a captured graph may use what is cached; a request that finds no memory gives nothing back
 *         split=on|off  (no_split of PyTorch's MemPool) off: each request gets a whole segment, or one that was freed
 *         as-recorded  (alone, in a replay: the settings that the snapshot carries)
 *         backend=native, pinned_…, graph_capture_record_stream_reuse: read, without effect
 *     pool[:kind=…]          keeps what is freed, by size; tarn/pool.h
 *     arena[:chunk=SIZE, kind=…]   hands out from one end, takes back all at once; tarn/arena.h. One thread at a time
 *     planned[:timeout=MILLISECONDS, arguments of caching]   serves what repeats from a plan; tarn/planned.h
 *     limit:SIZE             at most SIZE bytes in use, LIMIT_EXCEEDED beyond
 *     graph_switch           a graph pool's memory while graph mode is on (tarn/graph_switch.h)
 *     record:FILE            writes a trace of every call (docs/trace-format.md); whole after the release, the shutdown
 *                            or exit(), up to 256 KiB short after a crash
 *     fail:[at=N][,every=K][,count=M][,status=NAME]   fails allocations on schedule
 *     track[:frames=N]       who holds memory, by tag and by call site with N callers (1 to 16, one by default): in the log
 *                            at the release, at any time through tarn/track.h
 *     guard[:quarantine=SIZE, canary=SIZE, pages=on|off, frames=N]   finds misuse, below
 *     fallback:SPEC          asks the allocator that SPEC names when the one below answers OUT_OF_MEMORY. Each free goes
 *                            to the owner; statistics and visits cover both. OUT_OF_MEMORY, with what both said, when SPEC has
 *                            no more either or is at its limit. From a device's own memory to the host's:
 *
 *         fallback:direct:kind=pinned | caching
 *         fallback:"limit:8GiB | caching:kind=pinned" | caching
 *
 * `caching` with ahead=SIZE (0, none, by default) has a thread of its own that asks the driver before requests do. Once a stream's request has
 * had memory made, the thread makes SIZE bytes ready for the stream, and again when less than half is left. What is ready is cached memory
 * like any other: statistics count it, other streams get it before more is made, empty_cache gives it back. The thread stops, and tells nobody,
 * when the driver refuses, when the device would be left with less than SIZE, when memory is short and when it is given back, until a
 * request has memory made again. So no request of the allocator fails for it; but when it makes memory is its own affair, and reserved and
 * cached bytes and counts of driver calls differ from run to run, on `sim` too. tarn_allocator_check waits until it has nothing to do. Without virtual
 * memory, or with expandable=off, it has no effect. UNAVAILABLE where no thread can be started.
 *
 * `cuda_async` asks a pool of the driver's for each buffer, in the order of the buffer's stream, and frees it there: `cuMemAllocFromPoolAsync` and
 * `cuMemFreeAsync` on `cuda`; `sim` has a pool that shows order and lag; elsewhere NOT_SUPPORTED. The pool gives back what it keeps beyond
 * `threshold` bytes when the host waits for the device (without it: nothing), and all that is unused at an empty_cache. The switches are the
 * driver's, all on by default: memory whose free lies ahead on one stream goes to another one that waits for an event behind the
 * free, when the free turns out to have been reached, or by making the other stream wait. Reserved bytes are what the driver says of the
 * pool. A stream that is being captured gets none (INVALID_STATE): `graph` has memory for that.
 *
 * `guard` puts `canary` bytes (64) before and after each buffer, whose capacity is exactly what was asked for. A freed buffer
 * is filled with poison and stays in quarantine until `quarantine` bytes (64 MiB) have been freed after it; 0: it goes back at
 * once. With pages=on (cpu alone, else NOT_SUPPORTED) each buffer ends at a closed page, one lies before it, and freed ones are closed
 * whole: the access itself ends the program. Both calls are told, with up to `frames` callers (1 to 16, one by default):
 *
 *   - overflow and underflow: CORRUPT_DATA from the free, when the streams that use the buffer are done by then; the buffer
 *     is freed all the same. Else, and for live buffers, from tarn_allocator_check or the release.
 *   - a write after the free: CORRUPT_DATA from whatever call lets the buffer out of quarantine, from empty_cache, check or the
 *     release. An allocation that comes upon it succeeds, and the next check or release answers for it.
 *   - double free, free of a foreign pointer, free through the wrong allocator: INVALID_ARGUMENT, nothing changed. Who freed
 *     first is known of the last frees, some thousands in the process.
 *
 * What it guards are the buffers that it hands out: it stands before a pool, not behind it.
 *
 * Each finding is in the log too, as an error, and is told once. A write of the very byte that lies there (0xCA, 0xDB freed) is not
 * seen, nor one further away than the canaries reach. A device whose memory the host cannot reach is filled and looked at by
 * copies on a stream of the guard's own. `sim` stores nothing: there only the frees are judged. Where AddressSanitizer
 * or valgrind is at work, they are told what nobody may touch. A pool's clear or an arena's reset takes buffers back whose streams
 * may still be at work: of those, canaries are looked at only when the streams are done.
 *
 * A value may stand in quotation marks, and must where it holds '|', ',' or '"'; inside them '""' is one mark.
 *
 * Stream order: memory freed on a stream may be handed out again on that stream at once, and on another one only after the
 * first one's work is known to be complete. A NULL stream is the device's default stream. All functions may be called
 * from any thread. Freeing never blocks on the device, except in `direct`. */
#ifndef TARN_ALLOCATOR_H
#define TARN_ALLOCATOR_H

#include <tarn/buffer.h>
#include <tarn/stats.h>

TARN_BEGIN_DECLARATIONS

/* Creates the stack that `spec` names on `device`; NULL takes TARN_ALLOCATOR from the environment, else "caching".
 * Caller owns one reference; the allocator keeps the device alive. INVALID_ARGUMENT: the sentence gives the column of the
 * spec; NOT_SUPPORTED: a memory kind that the device lacks; IO_ERROR: a file that `record` cannot create. */
TARN_API tarn_status tarn_allocator_create(tarn_device *device, const char *spec, tarn_allocator **out_allocator);
TARN_API tarn_allocator *tarn_allocator_retain(tarn_allocator *allocator);
/* The last reference reports buffers that still live (count, bytes, tags) to the log; they stay valid and freeable, with
 * tarn_buffer_free, and the memory goes back when the last of them is freed. BUSY inside one of its own callbacks, and in a
 * host function that must not call the driver (tarn_stream_enqueue). NULL is
 * allowed. */
TARN_API tarn_status tarn_allocator_release(tarn_allocator *allocator);

/* Hands out `size` bytes, aligned to the device's alignment, for use on `stream` (NULL: the default stream). Caller
 * owns the buffer and frees it once. INVALID_ARGUMENT: size 0 or too large for the address space, another device's stream;
 * OUT_OF_MEMORY: after caches were emptied and reclaimers called; LIMIT_EXCEEDED; SHUT_DOWN. */
TARN_API tarn_status tarn_allocator_allocate(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                             tarn_buffer **out_buffer);

typedef struct tarn_allocate_options {
    size_t struct_size;
    size_t alignment;    /* bytes, a power of two; 0: the device's */
    tarn_stream *stream; /* NULL: the default stream */
    const char *tag;     /* who asks; the string must outlive the buffer (a literal). NULL: none */
    const void *address; /* where the buffer begins; NULL: anywhere */
} tarn_allocate_options;

/* The same with options; NULL options are all defaults. With an address, the buffer is put into memory that the allocator has already and
 * that is free for the stream, as one brings back what was there before: INVALID_ARGUMENT for an address where the stream has no memory
 * of this allocator, or that is not aligned; BUSY where not all of it is free. Of the strategies `pytorch` can do that, behind
 * `limit`, `record`, `track` and `fail`; other stacks answer NOT_SUPPORTED. */
TARN_API tarn_status tarn_allocator_allocate_with(tarn_allocator *allocator, size_t size,
                                                  const tarn_allocate_options *options, tarn_buffer **out_buffer);

/* Gives the buffer back. `stream` is where it was used last; NULL: the stream it was allocated for. NULL buffers are
 * allowed. INVALID_ARGUMENT, nothing changed: a buffer of another allocator, a stale handle, a second free, another
 * device's stream. INVALID_STATE: a graph that can be launched uses the memory. Works after shut_down, on any thread. */
TARN_API tarn_status tarn_allocator_free(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream);
/* The same through whatever allocator handed the buffer out. */
TARN_API tarn_status tarn_buffer_free(tarn_buffer *buffer, tarn_stream *stream);
/* The live buffer that starts at `pointer`. INVALID_ARGUMENT for any other address, which is never read. */
TARN_API tarn_status tarn_allocator_find(tarn_allocator *allocator, const void *pointer, tarn_buffer **out_buffer);

/* Bytes cached: taken from the device, in no live buffer. */
TARN_API size_t tarn_allocator_cache_size(tarn_allocator *allocator);
/* Bytes taken from the device: in use and cached. */
TARN_API size_t tarn_allocator_allocated_size(tarn_allocator *allocator);
/* Gives cached memory back to the device, waiting for work that still uses it. */
TARN_API tarn_status tarn_allocator_empty_cache(tarn_allocator *allocator);
/* Borrowed. */
TARN_API tarn_device *tarn_allocator_device(const tarn_allocator *allocator);
/* The text that names the stack, in its canonical form. Lives as long as the allocator. */
TARN_API const char *tarn_allocator_spec(const tarn_allocator *allocator);
/* Later allocations fail with SHUT_DOWN; frees still work. Twice is fine. */
TARN_API tarn_status tarn_allocator_shut_down(tarn_allocator *allocator);
/* Fills the statistics; the caller sets struct_size. */
TARN_API tarn_status tarn_allocator_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats);
/* Sets the peaks to the current figures. */
TARN_API tarn_status tarn_allocator_reset_peaks(tarn_allocator *allocator);
/* Bytes that may be in use, for a stack with a `limit`; lower than what is in use now only refuses new requests.
 * NOT_SUPPORTED without one. */
TARN_API tarn_status tarn_allocator_set_limit(tarn_allocator *allocator, size_t bytes);

/* A reclaimer is asked for memory before an allocation fails: it frees what it can spare of the allocator's buffers
 * and returns how many bytes that was, 0 when it has nothing. Called without locks, on the allocating thread; it may
 * call the allocator, except to release it or to allocate (INVALID_STATE). */
typedef size_t (*tarn_reclaimer)(void *context, size_t wanted_bytes);
TARN_API tarn_status tarn_allocator_add_reclaimer(tarn_allocator *allocator, tarn_reclaimer reclaimer, void *context);
/* When it returns, the reclaimer is not running in another thread and is not called again: hold no lock that it takes.
 * NOT_FOUND when that pair was not added. */
TARN_API tarn_status tarn_allocator_remove_reclaimer(tarn_allocator *allocator, tarn_reclaimer reclaimer,
                                                     void *context);

/* A block of the allocator's address space, for pictures and reports. */
typedef enum tarn_block_state {
    TARN_BLOCK_IN_USE = 0,
    TARN_BLOCK_CACHED,
    TARN_BLOCK_PENDING,
    TARN_BLOCK_UNMAPPED
} tarn_block_state;
typedef struct tarn_block_info {
    size_t struct_size;
    uint64_t address;
    uint64_t segment; /* address of the segment that holds it */
    uint64_t size;    /* bytes */
    uint64_t requested;
    uint64_t stream; /* number of the stream: 0 is the default one */
    tarn_block_state state;
    const char *tag; /* NULL: none */
} tarn_block_info;

/* Calls `visit` for each block in address order, under the allocator's lock: `visit` must not call the allocator. A
 * non-zero return stops. Strategies without cached blocks show the live ones in any order. */
TARN_API tarn_status tarn_allocator_each_block(tarn_allocator *allocator,
                                               int (*visit)(void *context, const tarn_block_info *block),
                                               void *context);

/* Walks the whole structure and checks its invariants; INTERNAL with the first one broken. Memory that is being made ahead of need is waited
 * for. For tests: it is slow. */
TARN_API tarn_status tarn_allocator_check(tarn_allocator *allocator);

TARN_END_DECLARATIONS

#endif
