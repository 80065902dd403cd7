/* Blocks of fibers. */
#include "emulation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#ifndef __x86_64__
#include <ucontext.h>
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

/* Bytes; sanitizers make frames several times as large. */
#define STACK_SIZE ((size_t)256 << 10)
#define MOST_THREADS 1024u

thread_local emulated_extent threadIdx, blockIdx, blockDim, gridDim;

/* A place to go on from. swapcontext asks the system for the signal mask each time, which takes far longer than what most threads do between
 * two barriers; so on the processor that tests run on it is the stack alone, with the registers that calls preserve on it. */
#ifdef __x86_64__
typedef void *fiber_context;

extern "C" void emulation_switch(fiber_context *out_from, fiber_context to) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".hidden emulation_switch\n"
        ".globl emulation_switch\n"
        ".type emulation_switch, @function\n"
        "emulation_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size emulation_switch, .-emulation_switch\n");

static void switch_context(fiber_context *from, fiber_context *to) { emulation_switch(from, *to); }

/* The stack as if `body` had been called, and had been left before its first instruction. */
static void make_context(fiber_context *out_context, void *stack, size_t size, void (*body)()) {
    void **top = (void **)((char *)stack + size) - 8; /* aligned as calls leave it: the return address lies above */
    for (int i = 0; i < 8; i++) top[i] = NULL;
    top[6] = (void *)body;
    *out_context = top;
}
#else
typedef ucontext_t fiber_context;

static void switch_context(fiber_context *from, fiber_context *to) { swapcontext(from, to); }

static void make_context(fiber_context *out_context, void *stack, size_t size, void (*body)()) {
    getcontext(out_context);
    out_context->uc_stack.ss_sp = stack;
    out_context->uc_stack.ss_size = size;
    out_context->uc_link = NULL;
    makecontext(out_context, body, 0);
}
#endif

struct fiber {
    fiber_context context;
    void *stack;
    void *fake_stack; /* AddressSanitizer's */
    bool has_ended, has_begun;
    /* What it gives to its warp, in turn, so that what one exchange gave is still there when a faster thread gives for the next. */
    unsigned char given[2][8];
    unsigned exchanges;
};

/* What a thread of the host needs to run blocks; made at its first launch and kept as long as the thread. */
struct crew {
    fiber fibers[MOST_THREADS];
    unsigned current, barriers;
    fiber_context scheduler;
    void *fake_stack;
    const void *scheduler_stack;
    size_t scheduler_size;
    bool is_plain; /* the threads of the block run without fibers */
    void (*run)(void *);
    void *context;

    ~crew() {
        for (fiber &each : fibers)
            if (each.stack != NULL) munmap(each.stack, STACK_SIZE);
    }
};

static thread_local crew *crew_of_thread;
/* Deletes the crew when the thread ends. */
static thread_local struct crew_owner {
    ~crew_owner() {
        delete crew_of_thread;
        crew_of_thread = NULL;
    }
} owner;

static void place_thread(unsigned number) {
    threadIdx.x = number % blockDim.x;
    threadIdx.y = number / blockDim.x % blockDim.y;
    threadIdx.z = number / (blockDim.x * blockDim.y);
}

static void switch_to_fiber(crew *all, fiber *to) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&all->fake_stack, to->stack, STACK_SIZE);
#endif
    switch_context(&all->scheduler, &to->context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(all->fake_stack, NULL, NULL);
#endif
}

static void switch_to_scheduler(crew *all, fiber *from) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(from->has_ended ? NULL : &from->fake_stack, all->scheduler_stack,
                                   all->scheduler_size);
#endif
    switch_context(&from->context, &all->scheduler);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(from->fake_stack, &all->scheduler_stack, &all->scheduler_size);
#endif
}

static void fiber_body() {
    crew *all = crew_of_thread;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &all->scheduler_stack, &all->scheduler_size);
#endif
    fiber *self = &all->fibers[all->current];
    all->run(all->context);
    self->has_ended = true;
    switch_to_scheduler(all, self);
}

static void begin_fiber(crew *all, unsigned number) {
    fiber *begun = &all->fibers[number];
    if (begun->stack == NULL) {
        begun->stack =
            mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (begun->stack == MAP_FAILED) abort();
    }
    begun->has_ended = false;
    begun->exchanges = 0;
    make_context(&begun->context, begun->stack, STACK_SIZE, fiber_body);
}

static void run_fiber(crew *all, unsigned number) {
    all->current = number;
    place_thread(number);
    switch_to_fiber(all, &all->fibers[number]);
}

void emulation_barrier() {
    crew *all = crew_of_thread;
    if (all->is_plain) {
        fprintf(stderr, "emulation: a thread waits at a barrier that the first of its block did not meet\n");
        abort();
    }
    all->barriers++;
    switch_to_scheduler(all, &all->fibers[all->current]);
}

void emulation_exchange(void *bytes, size_t size, unsigned from) {
    const unsigned number = threadIdx.x, threads = blockDim.x * blockDim.y * blockDim.z;
    if (threads % 32 != 0 || size > sizeof crew_of_thread->fibers[0].given[0] || from >= 32) {
        fprintf(stderr, "emulation: a block of %u threads has no whole warps to exchange %zu bytes in\n", threads,
                size);
        abort();
    }
    fiber *self = &crew_of_thread->fibers[number];
    const unsigned turn = self->exchanges++ % 2;
    memcpy(self->given[turn], bytes, size);
    emulation_barrier();
    memcpy(bytes, crew_of_thread->fibers[number / 32 * 32 + from].given[turn], size);
}

/* All threads from the first barrier on: `waiting` of them have come there, and go on when all have. */
static void run_phases(crew *all, unsigned threads) {
    for (unsigned number = 1; number < threads; number++) {
        begin_fiber(all, number);
        run_fiber(all, number);
    }
    for (bool goes_back = true; all->barriers > 0; goes_back = !goes_back) {
        if (all->barriers != threads) {
            fprintf(stderr, "emulation: %u of a block's %u threads wait at a barrier, and the others have ended\n",
                    all->barriers, threads);
            abort();
        }
        all->barriers = 0;
        for (unsigned i = 0; i < threads; i++) run_fiber(all, goes_back ? threads - 1 - i : i);
    }
}

static void run_block(crew *all, unsigned threads) {
    all->is_plain = false;
    all->barriers = 0;
    begin_fiber(all, 0);
    run_fiber(all, 0);
    if (all->barriers > 0) {
        run_phases(all, threads);
        return;
    }
    all->is_plain = true;
    for (unsigned number = 1; number < threads; number++) {
        place_thread(number);
        all->run(all->context);
    }
}

void emulation_launch(const unsigned grid[3], const unsigned block[3], void (*run)(void *), void *context) {
    unsigned threads = block[0] * block[1] * block[2];
    if (threads == 0 || threads > MOST_THREADS) abort();
    if (crew_of_thread == NULL) {
        crew_of_thread = new crew();
        (void)&owner;
    }
    crew *all = crew_of_thread;
    all->run = run;
    all->context = context;
    blockDim = {block[0], block[1], block[2]};
    gridDim = {grid[0], grid[1], grid[2]};
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++) run_block(all, threads);
}
