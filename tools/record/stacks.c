/* Call sites of more than one frame (TARN_RECORD_FRAMES).
 *
 * libc's backtrace walks the stack with the unwind tables, so that code without frame pointers is no obstacle; it costs about a
 * microsecond, which is why one frame, the return address, is the default. Equal stacks are kept once, in a table that is only
 * ever added to: the address of the entry stands for the stack. A place that another thread is filling is passed over, so that
 * nobody waits; the stack may then stand there twice, which does no harm. */
#include "record.h"

#include <execinfo.h>
#include <string.h>

#define FRAMES_OF_THE_RECORDER 6u
#define TRIES 32u
#define BEING_WRITTEN 1u

static bool is_same(const record_stack *stack, const uintptr_t *frames, unsigned count) {
    return stack->count == count && memcmp(stack->frames, frames, count * sizeof *frames) == 0;
}

static uintptr_t keep(const uintptr_t *frames, unsigned count) {
    uint64_t hash = count;
    for (unsigned i = 0; i < count; i++) {
        hash = (hash ^ frames[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    if (hash <= BEING_WRITTEN) hash += 2;
    for (unsigned i = 0; i < TRIES; i++) {
        record_stack *stack = &record_state->stacks[(hash + i) % RECORD_STACKS];
        uint64_t state = 0;
        if (atomic_compare_exchange_strong(&stack->state, &state, BEING_WRITTEN)) {
            memcpy(stack->frames, frames, count * sizeof *frames);
            stack->count = count;
            /* Release: who reads the hash sees the frames. */
            atomic_store_explicit(&stack->state, hash, memory_order_release);
            return (uintptr_t)stack;
        }
        if (state == hash && is_same(stack, frames, count)) return (uintptr_t)stack;
    }
    return 0;
}

uintptr_t record_stack_of(uintptr_t address) {
    if (record_setting.frames == 1) return address;
    if (!record_state->stacks) return 0;
    void *found[RECORD_FRAMES + FRAMES_OF_THE_RECORDER];
    int depth = backtrace(found, (int)(record_setting.frames + FRAMES_OF_THE_RECORDER));
    uintptr_t frames[RECORD_FRAMES];
    unsigned count = 0;
    for (int i = 0; i < depth && count < record_setting.frames; i++) {
        if (count == 0 && (uintptr_t)found[i] != address) continue; /* still inside the recorder */
        frames[count++] = (uintptr_t)found[i];
    }
    if (count == 0) frames[count++] = address;
    return keep(frames, count);
}
