/* The pool of threads.
 *
 * There is one for the process, made when work first asks for more than one thread, and gone with the last device. One piece of work at a
 * time has it: who finds it taken computes alone, which is what the machine has room for then anyway. The work is a range of numbers
 * that all threads, the one that brought it among them, take ranges from until nothing is left. Nobody waits for a thread to wake up: one
 * that comes late finds the work closed and goes back to sleep.
 *
 * All of that is one number, `state`: how many works there were, whether the last is open, and how many threads of the pool are in it. A
 * thread enters by counting itself into an open work, and only then looks at what the work is. */
#include "backends/cpu/compute/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/config.h"
#include "base/log.h"
#include "base/thread.h"

#define MOST_THREADS 256
/* How often a thread looks for work before it sleeps, and for the others to finish: some ten microseconds. */
#define LOOKS 1000
/* Ranges for each thread, so that one that is held up leaves work to the others. */
#define RANGES_PER_THREAD 4

#define STATE_OPEN ((uint64_t)1 << 31)
#define STATE_WORK ((uint64_t)1 << 32)
#define STATE_INSIDE (STATE_OPEN - 1)

/* Held by whoever's work has the pool, and while threads start and end. Taken before `sleep_lock`. */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t threads[MOST_THREADS]; /* protected by pool_lock, with the next two */
static unsigned thread_count;
static bool handles_forks;
static atomic_bool has_complained; /* relaxed */

/* The work; written while it is closed and nobody is inside. */
static struct {
    void (*run)(void *context, size_t begin, size_t end);
    void *context;
    size_t count, range;
    atomic_size_t next; /* relaxed: only tells the ranges apart */
} current;

/* Acquire when a thread enters, so that it sees the work; release when it leaves, so that what it did is seen. */
static _Atomic uint64_t state;
static atomic_bool is_stopping;

static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_work = PTHREAD_COND_INITIALIZER;
static pthread_cond_t has_left = PTHREAD_COND_INITIALIZER;
/* How many threads sleep or are about to. Changed with sleep_lock held; sequentially consistent with `state`: either the work is seen by
 * who goes to sleep, or the sleeper by who opens it. */
static atomic_uint sleepers;

static pthread_mutex_t user_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;    /* protected by user_lock */
static atomic_uint width; /* relaxed: a figure; 0: not known yet */

/* Whether this thread is inside work, its own or another's. */
static _Thread_local bool is_working;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static unsigned find_width(void) {
    const char *text = base_config_text("TARN_NUM_THREADS");
    if (text != NULL) {
        char *end;
        unsigned long asked = strtoul(text, &end, 10);
        if (*text >= '0' && *text <= '9' && *end == '\0' && asked >= 1 && asked <= MOST_THREADS) return (unsigned)asked;
        base_config_complain("TARN_NUM_THREADS", text, "it is a number from 1 to 256");
    }
    unsigned processors = base_processor_count();
    return processors < MOST_THREADS ? processors : MOST_THREADS;
}

unsigned cpu_parallel_width(void) {
    unsigned known = atomic_load_explicit(&width, memory_order_relaxed);
    if (known == 0) {
        known = find_width();
        atomic_store_explicit(&width, known, memory_order_relaxed);
    }
    return known;
}

static void take_ranges(void) {
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&current.next, current.range, memory_order_relaxed);
        if (begin >= current.count) return;
        size_t left = current.count - begin;
        current.run(current.context, begin, begin + (current.range < left ? current.range : left));
    }
}

static bool is_open_and_new(uint64_t now, uint64_t seen) { return (now & STATE_OPEN) != 0 && now / STATE_WORK != seen; }

/* Blocks until there is a work that this thread has not seen, or the pool stops. */
static void sleep_until_work(uint64_t seen) {
    pthread_mutex_lock(&sleep_lock);
    atomic_fetch_add(&sleepers, 1);
    while (!is_open_and_new(atomic_load(&state), seen) && !atomic_load_explicit(&is_stopping, memory_order_relaxed)) {
        pthread_cond_wait(&has_work, &sleep_lock);
    }
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&sleep_lock);
}

static void leave(void) {
    uint64_t before = atomic_fetch_sub_explicit(&state, 1, memory_order_acq_rel);
    if ((before & STATE_INSIDE) != 1 || (before & STATE_OPEN) != 0) return;
    /* The last one out of a closed work, which somebody may wait for. */
    pthread_mutex_lock(&sleep_lock);
    pthread_cond_signal(&has_left);
    pthread_mutex_unlock(&sleep_lock);
}

static void *run_thread(void *context) {
    uint64_t seen = *(const uint64_t *)context; /* no work: the pool is held while threads start */
    is_working = true;
    while (!atomic_load_explicit(&is_stopping, memory_order_relaxed)) {
        uint64_t now = atomic_load_explicit(&state, memory_order_relaxed);
        for (int i = 0; i < LOOKS && !is_open_and_new(now, seen); i++) {
            relax();
            now = atomic_load_explicit(&state, memory_order_relaxed);
        }
        if (!is_open_and_new(now, seen)) {
            sleep_until_work(seen);
            continue;
        }
        if (!atomic_compare_exchange_strong_explicit(&state, &now, now + 1, memory_order_acquire,
                                                     memory_order_relaxed)) {
            continue;
        }
        seen = now / STATE_WORK;
        take_ranges();
        leave();
    }
    return NULL;
}

/* The child of a fork has one thread, which is in no work and has the pool's memory as it was. */
static void forget_threads(void) {
    pthread_mutex_init(&pool_lock, NULL);
    pthread_mutex_init(&sleep_lock, NULL);
    pthread_mutex_init(&user_lock, NULL);
    pthread_cond_init(&has_work, NULL);
    pthread_cond_init(&has_left, NULL);
    thread_count = 0;
    users = 0;
    atomic_store(&sleepers, 0);
    atomic_store(&state, 0);
    atomic_store(&is_stopping, false);
    atomic_store(&width, 0);
}

/* Has as many threads as the width says, or as can be had. Must be called with pool_lock held. */
static void start_threads(void) {
    static const uint64_t no_work = UINT64_MAX;
    if (!handles_forks && pthread_atfork(NULL, NULL, forget_threads) != 0) return;
    handles_forks = true;
    unsigned wanted = cpu_parallel_width() - 1;
    while (thread_count < wanted) {
        if (base_thread_start(&threads[thread_count], "tarn-compute", run_thread, (void *)&no_work) != TARN_OK) return;
        thread_count++;
    }
}

/* Opens the work to at most `helpers` threads that sleep, and to all that do not. Must be called with pool_lock held. */
static void open_work(size_t helpers) {
    atomic_fetch_add(&state, STATE_WORK | STATE_OPEN);
    unsigned sleeping = atomic_load(&sleepers);
    if (sleeping == 0) return;
    pthread_mutex_lock(&sleep_lock);
    if (helpers >= sleeping) {
        pthread_cond_broadcast(&has_work);
    } else {
        for (size_t i = 0; i < helpers; i++) pthread_cond_signal(&has_work);
    }
    pthread_mutex_unlock(&sleep_lock);
}

/* Returns when nobody is inside any more. Must be called with pool_lock held. */
static void close_work(void) {
    uint64_t now = atomic_fetch_and_explicit(&state, ~STATE_OPEN, memory_order_acq_rel);
    for (int i = 0; i < LOOKS && (now & STATE_INSIDE) != 0; i++) {
        relax();
        now = atomic_load_explicit(&state, memory_order_acquire);
    }
    if ((now & STATE_INSIDE) == 0) return;
    pthread_mutex_lock(&sleep_lock);
    while ((atomic_load_explicit(&state, memory_order_acquire) & STATE_INSIDE) != 0) {
        pthread_cond_wait(&has_left, &sleep_lock);
    }
    pthread_mutex_unlock(&sleep_lock);
}

/* Says once that there are fewer threads than there should be. */
static void complain(unsigned count) {
    if (atomic_exchange_explicit(&has_complained, true, memory_order_relaxed)) return;
    base_log(TARN_LOG_WARNING, "cpu: %u of %u threads compute: the others cannot be started", count,
             cpu_parallel_width());
}

void cpu_parallel(size_t count, size_t grain, void (*work)(void *context, size_t begin, size_t end), void *context) {
    if (count == 0) return;
    if (grain == 0) grain = 1;
    if (count <= grain || is_working || cpu_parallel_width() == 1 || pthread_mutex_trylock(&pool_lock) != 0) {
        work(context, 0, count);
        return;
    }
    if (thread_count + 1 < cpu_parallel_width()) start_threads();
    unsigned helpers = thread_count;
    size_t ranges = ((size_t)helpers + 1) * RANGES_PER_THREAD;
    size_t range = count / ranges + (count % ranges != 0);
    current.run = work;
    current.context = context;
    current.count = count;
    current.range = range > grain ? range : grain;
    atomic_store_explicit(&current.next, 0, memory_order_relaxed);
    open_work((count - 1) / current.range);
    is_working = true;
    take_ranges();
    is_working = false;
    close_work();
    pthread_mutex_unlock(&pool_lock);
    if (helpers + 1 < cpu_parallel_width()) complain(helpers + 1);
}

void cpu_threads_retain(void) {
    pthread_mutex_lock(&user_lock);
    users++;
    pthread_mutex_unlock(&user_lock);
}

static void end_threads(void) {
    pthread_mutex_lock(&pool_lock);
    pthread_mutex_lock(&sleep_lock);
    atomic_store_explicit(&is_stopping, true, memory_order_relaxed);
    pthread_cond_broadcast(&has_work);
    pthread_mutex_unlock(&sleep_lock);
    for (unsigned i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
    thread_count = 0;
    atomic_store_explicit(&is_stopping, false, memory_order_relaxed);
    atomic_store_explicit(&width, 0, memory_order_relaxed);
    pthread_mutex_unlock(&pool_lock);
}

void cpu_threads_release(void) {
    pthread_mutex_lock(&user_lock);
    if (users > 0 && --users == 0) end_threads();
    pthread_mutex_unlock(&user_lock);
}
