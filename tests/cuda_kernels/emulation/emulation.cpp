/* Blocks of fibers. */
#include "emulation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

/* Bytes; sanitizers make frames several times as large. */
#define STACK_SIZE ((size_t)256 << 10)
#define MOST_THREADS 1024u

thread_local emulated_extent threadIdx, blockIdx, blockDim, gridDim;

struct fiber {
    ucontext_t context;
    void *stack;
    void *fake_stack; /* AddressSanitizer's */
    bool has_ended, has_begun;
};

/* What a thread of the host needs to run blocks; made at its first launch and kept as long as the thread. */
struct crew {
    fiber fibers[MOST_THREADS];
    unsigned current, barriers;
    ucontext_t scheduler;
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
    swapcontext(&all->scheduler, &to->context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(all->fake_stack, NULL, NULL);
#endif
}

static void switch_to_scheduler(crew *all, fiber *from) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(from->has_ended ? NULL : &from->fake_stack, all->scheduler_stack,
                                   all->scheduler_size);
#endif
    swapcontext(&from->context, &all->scheduler);
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
    getcontext(&begun->context);
    begun->context.uc_stack.ss_sp = begun->stack;
    begun->context.uc_stack.ss_size = STACK_SIZE;
    begun->context.uc_link = NULL;
    begun->has_ended = false;
    makecontext(&begun->context, fiber_body, 0);
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
