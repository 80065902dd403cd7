/* Handles: the address of a slot, never that of the object, so that one that has ended is told from a live one without reading
 * freed memory. A slot that was given back is the next to be handed out: drivers use handles again at once, and programs that
 * keep one too long meet another object. */
#include "state.h"

#include <stdlib.h>

typedef struct fake_slot {
    handle_kind kind;
    void *object;
    struct fake_slot *next; /* unused ones */
} fake_slot;

enum { SLOTS = 512 };
typedef struct fake_block {
    fake_slot slots[SLOTS];
    struct fake_block *next;
} fake_block;

static fake_block *blocks;
static fake_slot *unused;
static size_t counts[HANDLE_KINDS];

void *handle_make(handle_kind kind, void *object) {
    if (unused == NULL) {
        fake_block *added = obtain(sizeof *added);
        added->next = blocks;
        blocks = added;
        for (size_t i = SLOTS; i-- > 0;) {
            added->slots[i].next = unused;
            unused = &added->slots[i];
        }
    }
    fake_slot *made = unused;
    unused = made->next;
    made->kind = kind;
    made->object = object;
    counts[kind]++;
    return made;
}

static fake_slot *slot_of(const void *handle) {
    uintptr_t address = (uintptr_t)handle;
    for (fake_block *block = blocks; block != NULL; block = block->next) {
        uintptr_t start = (uintptr_t)block->slots;
        if (address < start || address >= start + sizeof block->slots) continue;
        return (address - start) % sizeof(fake_slot) == 0 ? &block->slots[(address - start) / sizeof(fake_slot)] : NULL;
    }
    return NULL;
}

void *handle_peek(handle_kind kind, const void *handle) {
    const fake_slot *slot = slot_of(handle);
    return slot != NULL && slot->kind == kind ? slot->object : NULL;
}

void *handle_object(handle_kind kind, const void *handle) {
    static const char *const names[HANDLE_KINDS] = {
        "nothing", "a context",           "a stream", "an event",  "physical memory", "a pool", "a graph",
        "a node",  "an executable graph", "a module", "a function"};
    void *object = handle_peek(kind, handle);
    if (object == NULL && handle != NULL) {
        const fake_slot *slot = slot_of(handle);
        violation("%p is %s, not %s", handle,
                  slot == NULL                ? "no handle"
                  : slot->kind == HANDLE_NONE ? "ended"
                                              : names[slot->kind],
                  names[kind]);
    }
    return object;
}

void handle_end(void *handle) {
    fake_slot *slot = slot_of(handle);
    counts[slot->kind]--;
    slot->kind = HANDLE_NONE;
    slot->object = NULL;
    slot->next = unused;
    unused = slot;
}

size_t handle_count(handle_kind kind) { return counts[kind]; }

void handles_each(handle_kind kind, void (*visit)(void *object)) {
    for (fake_block *block = blocks; block != NULL; block = block->next)
        for (size_t i = 0; i < SLOTS; i++)
            if (block->slots[i].kind == kind) visit(block->slots[i].object);
}

void handles_reset(void) {
    while (blocks != NULL) {
        fake_block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
    unused = NULL;
    for (size_t kind = 0; kind < HANDLE_KINDS; kind++) counts[kind] = 0;
}
