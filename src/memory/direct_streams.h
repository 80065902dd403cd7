/* Which streams use the memory of an allocator that keeps its memory in pieces of one driver call or one range each (`direct`,
 * `cuda_async`, `predictive`), or hands out parts of pieces (`pool`, `arena`), and waiting for them.
 *
 * A buffer remembers numbers of streams, for a stream may end before the buffer does. The streams themselves are kept in
 * one list; a stream that is not in it has ended, and its work with it. */
#ifndef MEMORY_DIRECT_STREAMS_H
#define MEMORY_DIRECT_STREAMS_H

#include <pthread.h>

#include "hal/device.h"
#include "hal/event.h"

/* A stream that a buffer is used on. */
typedef struct direct_use {
    uint32_t stream;  /* its number */
    bool is_over;     /* direct_streams_are_idle found the work that it asked about finished */
    hal_event *event; /* recorded when direct_streams_are_idle first asked; NULL: it has not, or needs it no more */
    struct direct_use *next;
} direct_use;

typedef struct direct_stream {
    tarn_stream *stream; /* borrowed: it leaves the list when it ends */
    uint32_t number;
    unsigned waiting; /* threads that wait for it: its end waits for them */
    bool is_noted;
    struct direct_stream *next;
} direct_stream;

/* Streams that have work left; those beyond the room are asked again. */
#define DIRECT_BUSY 16
typedef struct direct_busy {
    uint32_t streams[DIRECT_BUSY]; /* numbers */
    unsigned count;
} direct_busy;

#define DIRECT_EVENTS 8

typedef struct direct_streams {
    tarn_device *device;
    pthread_mutex_t lock; /* protects what follows and all lists of uses; never held while the driver is called */
    pthread_cond_t waited;
    direct_stream *list;
    hal_event *events[DIRECT_EVENTS]; /* not in use */
    unsigned event_count;
    uint64_t waits; /* times that work had not finished */
} direct_streams;

tarn_status direct_streams_begin(direct_streams *streams, tarn_device *device);
void direct_streams_end(direct_streams *streams);

/* Remembers the stream until it ends. OUT_OF_MEMORY. */
tarn_status direct_streams_know(direct_streams *streams, tarn_stream *stream);
/* Whether a stream that was known has not ended. */
bool direct_streams_has(direct_streams *streams, uint32_t number);
/* Adds the stream to a buffer's uses. OUT_OF_MEMORY, with nothing changed. */
tarn_status direct_streams_use(direct_streams *streams, tarn_stream *stream, direct_use **inout_uses);
/* Waits for the work so far of all streams of the list. What fails to be waited for is returned; a device that is lost or out
 * of reach does nothing any more and counts as waited for. */
tarn_status direct_streams_wait(direct_streams *streams, const direct_use *uses);
/* Whether a wait that ended so leaves no work: nothing runs on a device that is lost or out of reach. */
static inline bool direct_work_has_ended(tarn_status status) {
    return status == TARN_OK || status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE;
}
/* Whether the work on the streams of the list, but for the stream with the number `except`, has finished: the work that was there
 * when this was first asked since direct_streams_ask_anew. Never waits; where the driver does not say, the answer is no. The list
 * is the caller's alone meanwhile. */
bool direct_streams_are_idle(direct_streams *streams, direct_use *uses, uint32_t except);
/* The same for blocks that were freed one after the other, the oldest first: a stream that has not come to the end of a block's work has
 * not come to that of a later one, and is not asked about it. `busy` begins as zeros. */
bool direct_streams_are_idle_in_turn(direct_streams *streams, direct_use *uses, direct_busy *inout_busy);
/* The next direct_streams_are_idle asks about the work up to then. */
void direct_streams_ask_anew(direct_streams *streams, direct_use *uses);
/* Adds the streams of one list to another. OUT_OF_MEMORY, with some of them added. */
tarn_status direct_streams_share(direct_streams *streams, const direct_use *from, direct_use **inout_uses);
/* Takes all streams but that one off the list. */
void direct_streams_keep_only(direct_streams *streams, uint32_t number, direct_use **inout_uses);
/* The stream with that number, which does not end before direct_streams_hold_end; NULL when it has ended already. */
direct_stream *direct_streams_hold(direct_streams *streams, uint32_t number);
void direct_streams_hold_end(direct_streams *streams, direct_stream *entry);
/* Makes later work of `stream` wait for the work so far of all streams of the list; the host does not wait. Where that cannot be done
 * for one of them the failure of that, with `stream` waiting for others perhaps. */
tarn_status direct_streams_follow(direct_streams *streams, const direct_use *uses, tarn_stream *stream);
/* Notes a stream that is held, and waits for the work so far of all that were noted since this was last done, or are noted meanwhile.
 * `out_any` says whether it waited for any; where that fails, the stream stays noted. */
void direct_streams_note(direct_streams *streams, direct_stream *entry);
tarn_status direct_streams_wait_for_noted(direct_streams *streams, bool *out_any);
uint64_t direct_streams_waits(direct_streams *streams);
void direct_uses_free(direct_use *uses);

#define DIRECT_NO_STREAM UINT32_MAX

#endif
