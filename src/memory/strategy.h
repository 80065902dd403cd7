/* Strategies and adaptors, as the rest of the room sees them.
 *
 * A stack of allocators is a chain from the adaptor on top down to the strategy that owns memory. Each element is a
 * tarn_allocator that begins with the members below and a table of functions. The public functions validate, and
 * dispatch to the top of the stack; an adaptor does its own part and calls the element below through the memory_
 * functions here.
 *
 * To add one: write its table, and put it in the list in src/builtin_strategies.c. */
#ifndef MEMORY_STRATEGY_H
#define MEMORY_STRATEGY_H

#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/allocator.h>
#include <tarn/shape.h>

#include "memory/bias.h"
#include "memory/block.h"

/* What a request is for, where more is known than bytes. */
typedef struct memory_shape {
    const tarn_shape_bounds *bounds; /* checked */
    tarn_element_type type;
    size_t minimum, expected, maximum; /* bytes of the bounds' shapes */
} memory_shape;

/* A request as strategies see it: valid, with the stream never NULL and the alignment never 0. */
typedef struct memory_request {
    size_t size;
    size_t alignment;
    tarn_stream *stream;
    const char *tag;
    const void *site;          /* where the caller's call returns to; NULL: not known */
    tarn_allocator *outer;     /* the top of the stack it came through */
    const memory_shape *shape; /* NULL: nothing but the size is known */
    uintptr_t address; /* where it is to begin; 0: anywhere. Only a stack of elements with `has_places` gets one */
    /* Work of other streams, which was not made to wait for `stream`, may use the memory at once: for elements that hand out parts of it, or
     * touch it themselves. */
    bool is_for_all;
} memory_request;

/* One argument of an element of a spec: "gc=0.9" has key "gc", "8GiB" has key "". */
typedef struct memory_argument {
    const char *key;
    const char *value;
    size_t column; /* of the argument in the spec, from 1 */
    bool used;     /* set by the functions that read it; one left unused is refused */
} memory_argument;

typedef struct memory_arguments {
    const char *name; /* of the element */
    memory_argument *items;
    size_t count;
    size_t column;
} memory_arguments;

typedef struct memory_strategy {
    const char *name;
    bool is_adaptor;
    /* A strategy that takes its memory in pieces from the element below, or from the device when it stands last. */
    bool takes_pieces;
    /* It can put a buffer at an address that the request names; of an adaptor: it leaves that to the element below. */
    bool has_places;
    /* Creates the element. What stands before another takes over one reference of `upstream`, on success; the last one gets NULL. Reads
     * its arguments with the memory_argument_ functions. The caller has set nothing; the callee allocates the
     * structure and calls memory_allocator_begin. */
    tarn_status (*create)(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                          tarn_allocator **out_allocator);
    /* Frees the element and drops its upstream, if any. No live buffers are left. */
    void (*destroy)(tarn_allocator *allocator);

    /* The block handed out has its address, capacity, stream, owner and live members set and is not yet live. */
    tarn_status (*allocate)(tarn_allocator *allocator, const memory_request *request, memory_block **out_block);
    /* (optional) Whether the program may free the block now, on `stream` as in `free`; another status refuses that, and nothing
     * has changed. The block may be losing its life to another thread. */
    tarn_status (*check_free)(tarn_allocator *allocator, const memory_block *block, tarn_stream *stream);
    /* Takes back a block whose life the caller has ended. `stream` is where it was used last; NULL: the one it was
     * allocated for. Cannot be refused. What goes wrong on the way, such as a driver's failure, is returned after the block
     * is safe. */
    tarn_status (*free)(tarn_allocator *allocator, memory_block *block, tarn_stream *stream);

    /* (optional) The short ways, taken first when the element is the top of its stack and is neither shut down nor
     * released. They are what the public functions are, without any validation but that allocator and out_buffer are not
     * NULL: the stream may be NULL, the handle of any kind. What they do not serve at once they leave as it is and end
     * in memory_allocate_long or memory_free_long; as a tail call, so that they need no stack. */
    tarn_status (*allocate_quickly)(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                    tarn_buffer **out_buffer);
    tarn_status (*free_quickly)(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream);
    /* (optional) The short way for an adaptor `outer` that is the top and stands right above: the block, not yet live,
     * that a request for nothing but `size` bytes is served with at once. NULL, with nothing changed, where it is not. An adaptor
     * has short ways only in front of a strategy that has this. */
    memory_block *(*take_quickly)(tarn_allocator *allocator, size_t size, tarn_stream *stream, tarn_allocator *outer);
    /* (required where a strategy has short ways) Ends the short ways for good, and returns how many blocks are live that were
     * allocated through this element as the top: from now on the caller counts them. */
    size_t (*retire)(tarn_allocator *allocator);

    /* (optional) An adaptor that leaves these out has its upstream's; a strategy has nothing cached. */
    tarn_status (*empty_cache)(tarn_allocator *allocator);
    tarn_status (*stats)(tarn_allocator *allocator, tarn_memory_stats *out_stats);
    tarn_status (*reset_peaks)(tarn_allocator *allocator);
    tarn_status (*set_limit)(tarn_allocator *allocator, size_t bytes);
    tarn_status (*each_block)(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *), void *context);
    tarn_status (*find)(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
    tarn_status (*check)(tarn_allocator *allocator);
    /* (optional) Says that another stream uses a live block. A strategy without it waits for the device at the free. */
    tarn_status (*record_stream)(tarn_allocator *allocator, memory_block *block, tarn_stream *stream);
    /* (optional) The kind of memory that it takes from the device. DEVICE where no element of a stack says otherwise. */
    tarn_memory_kind (*kind)(const tarn_allocator *allocator);
    /* (optional) Called when the element is shut down, after it has been marked so. */
    void (*shut_down)(tarn_allocator *allocator);
    /* (optional, adaptors) The strategy below takes a block back by itself, as a pool's clear and an arena's reset do: the
     * adaptor does what it does at a free, except to pass it on. The block's life has ended and its members are still
     * there, as at a free. An adaptor that keeps freed blocks for a while, such as a quarantine, makes itself their
     * live.outer, and hears of those too. Called without locks of the strategy; cannot fail. */
    void (*forget)(tarn_allocator *allocator, memory_block *block);
    /* (optional) The last reference of the stack has gone: called for each element from the top down, before anything is
     * destroyed. What is wrong, such as memory that was overwritten, is the answer of the release, which takes place all the
     * same. No lock is held. */
    tarn_status (*conclude)(tarn_allocator *allocator);
    /* (optional) The live block that an address lies in, which may be beside what the caller may use. INVALID_ARGUMENT. */
    tarn_status (*containing)(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
    /* (optional, adaptors) The element below that a block came from, where there are several. */
    tarn_allocator *(*below)(tarn_allocator *allocator, const memory_block *block);
    /* (optional, adaptors) The top of a second stack that the adaptor owns. Borrowed. */
    tarn_allocator *(*second)(tarn_allocator *allocator);
} memory_strategy;

/* What every element begins with. */
struct tarn_allocator {
    const memory_strategy *strategy;
    /* The strategy's short ways, or where it has none the long ones. */
    tarn_status (*allocate_first)(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                  tarn_buffer **out_buffer);
    tarn_status (*free_first)(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream);
    tarn_device *device;      /* one reference */
    tarn_allocator *upstream; /* the element below; NULL where memory comes from the device itself */
    char *spec;               /* of the stack from here down; set by the spec reader */
    atomic_uint references;
    atomic_bool is_shut_down;
    atomic_bool is_released; /* the last reference went: the last free destroys it */
    /* What keeps the structure: the references, all together, and each live buffer that was allocated through this element as
     * the top; where there are short ways, buffers count only since those were ended. Of the others, those of the thread
     * that allocated first are counted in `own_live` by it alone, as its bias says, until the release. */
    atomic_size_t live;
    size_t own_live; /* allocations less frees, which wraps */
    bias own_bias;
    atomic_uint callbacks; /* of its own that are running */
    atomic_uint
        detours; /* reasons not to try the short ways: an adaptor without, shut down, released, each running callback */
    /* Where there are short ways: frees that are under way the long way, and whether new ones wait for the end of a
     * release, which counts the live buffers. */
    atomic_uint visitors;
    atomic_bool is_retiring;
    struct memory_reclaimer *reclaimers; /* protected by the reclaimers' lock, reclaimers.c */
};

/* Fills the common members; takes a reference of the device and takes over that of `upstream`. */
void memory_allocator_begin(tarn_allocator *allocator, const memory_strategy *strategy, tarn_device *device,
                            tarn_allocator *upstream);
/* Frees what memory_allocator_begin and the spec reader gave it, and the structure itself. */
void memory_allocator_end(tarn_allocator *allocator);

/* The long ways of the public functions, with all validation. */
tarn_status memory_allocate_long(tarn_allocator *allocator, size_t size, tarn_stream *stream, tarn_buffer **out_buffer);
tarn_status memory_free_long(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream);

/* Counts a buffer that an adaptor's short way hands out, until it is freed. */
void memory_keep(tarn_allocator *allocator);

/* The element below, for adaptors: dispatch without validation. */
tarn_status memory_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block);
tarn_status memory_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream);
/* For strategies that take blocks back by themselves: tells the elements from the block's live.outer down to its owner, and
 * drops what the buffer kept, if it was a live one. Its life has ended; the strategy uses the block again only after
 * this. Without locks. Whoever asked for it holds a reference of the owner or of an element above. */
void memory_take_back(memory_block *block, bool was_live);
/* What the elements below answer, for elements that add to it. */
tarn_status memory_stats_below(tarn_allocator *allocator, tarn_memory_stats *out_stats);
/* Questions to the element `allocator` and those below it, for adaptors that answer with what those say: each goes to
 * the highest that answers it. NOT_SUPPORTED where none does. */
tarn_status memory_find_from(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status memory_each_block_from(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                   void *context);
tarn_status memory_containing_from(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
/* Calls `conclude` of the element and those below it; the first failure. */
tarn_status memory_conclude_from(tarn_allocator *allocator);
tarn_status memory_empty_cache_below(tarn_allocator *allocator);
tarn_status memory_reset_peaks_below(tarn_allocator *allocator);

/* The strategy below the adaptors of a stack, when it is `wanted`: INVALID_ARGUMENT for NULL, NOT_SUPPORTED for another one, INVALID_STATE
 * inside a visit of its blocks. `what` says what was to be done. */
tarn_status memory_strategy_of(tarn_allocator *allocator, const memory_strategy *wanted, const char *what,
                               tarn_allocator **out_element);

/* Calls the reclaimers of the stack that `outer` tops, until one has given something. Returns the bytes given. No lock
 * of the room is held. */
size_t memory_reclaim(tarn_allocator *outer, size_t wanted_bytes);

/* Reading arguments. Each looks a key up, marks it used, and leaves `*inout_value` alone when it is absent.
 * INVALID_ARGUMENT, with the column, when the value cannot be read. */
tarn_status memory_argument_size(memory_arguments *arguments, const char *key, size_t *inout_value);
tarn_status memory_argument_number(memory_arguments *arguments, const char *key, uint64_t *inout_value);
tarn_status memory_argument_fraction(memory_arguments *arguments, const char *key, double *inout_value);
/* A decimal number from 1 to 1000. */
tarn_status memory_argument_factor(memory_arguments *arguments, const char *key, double *inout_value);
tarn_status memory_argument_switch(memory_arguments *arguments, const char *key, bool *inout_value);
tarn_status memory_argument_kind(memory_arguments *arguments, const char *key, tarn_memory_kind *inout_value);
/* The text itself, which lives as long as the arguments do. */
tarn_status memory_argument_text(memory_arguments *arguments, const char *key, const char **inout_value);
/* Gives the argument of that key, which is there, another text in the allocator's canonical name. `value` is not copied. */
void memory_argument_rewrite(memory_arguments *arguments, const char *key, const char *value);
/* INVALID_ARGUMENT, saying what the argument of that key, which is there, takes instead of the value that it has. */
tarn_status memory_argument_refuse(const memory_arguments *arguments, const char *key, const char *wanted);
/* INVALID_ARGUMENT naming the first argument that nobody read. Each `create` calls it last, before it takes anything. */
tarn_status memory_arguments_check(const memory_arguments *arguments);

/* Every strategy and adaptor there is, ended by NULL; defined in src/builtin_strategies.c. */
extern const memory_strategy *const memory_strategies[];

/* The conventional members of a live block, in one place. */
static inline void memory_block_fill(memory_block *block, const memory_request *request, tarn_allocator *owner) {
    block->owner = owner;
    block->live.requested = request->size;
    block->live.outer = request->outer;
    block->live.tag = request->tag;
    block->site = request->site;
    block->live.slot = 0;
    block->live.is_plain = request->tag == NULL;
    block->uses = NULL;
}

#endif
