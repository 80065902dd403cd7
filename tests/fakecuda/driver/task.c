/* Work and its order. A piece of work knows what it comes after; what comes after nothing that is unfinished is ready. Without
 * threads, ready work runs as late as the rules allow: when somebody waits for it or for what comes after it, now and then when
 * somebody asks, when too much has piled up, and at last when the program has been silent for a while. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

/* As many pieces as a driver queues before a call blocks. */
enum { MOST_PENDING = 1024 };

static fake_task *pending; /* what has not ended, oldest first */
static fake_task *pending_last;
static unsigned long long pending_count, submitted;
static fake_task **ready;
static size_t ready_count;
static fake_task *host_function; /* the one that has been given to a thread; NULL: none */
static unsigned long long random_state = 1;

void random_seed(unsigned long long seed) { random_state = seed * 2 + 1; }

unsigned long long random_number(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

unsigned long long tasks_pending(void) { return pending_count; }
fake_task *tasks_first(void) { return pending; }
bool task_is_done(const fake_task *task) { return task == NULL || task->state == TASK_DONE; }

fake_task *task_hold(fake_task *task) {
    if (task != NULL) task->references++;
    return task;
}

void task_drop(fake_task *task) {
    if (task == NULL || --task->references > 0) return;
#ifndef __clang_analyzer__ /* it does not follow counts of references */
    free(task->after);
    free(task->then);
    free(task);
#endif
}

fake_task *task_make(const fake_operation *operation) {
    fake_task *made = obtain(sizeof *made);
    made->operation = *operation;
    made->references = 1;
    return made;
}

void task_after(fake_task *later, fake_task *earlier) {
    if (task_is_done(earlier)) return;
    for (size_t i = 0; i < later->after_count; i++)
        if (later->after[i] == earlier) return;
    later->after = grow(later->after, later->after_count, sizeof(fake_task *));
    later->after[later->after_count++] = task_hold(earlier);
    later->unmet++;
    earlier->then = grow(earlier->then, earlier->then_count, sizeof(fake_task *));
    earlier->then[earlier->then_count++] = task_hold(later);
}

static void add_ready(fake_task *task) {
    task->state = TASK_READY;
    task->ready_index = ready_count;
    ready = grow(ready, ready_count, sizeof task);
    ready[ready_count++] = task;
}

static void take_ready(fake_task *task, task_state state) {
    ready[task->ready_index] = ready[--ready_count];
    ready[task->ready_index]->ready_index = task->ready_index;
    task->state = state;
    if (operation_is_host(&task->operation)) host_function = task;
}

/* Host functions may be run one after the other, whatever streams they are on: one that waits for another never ends then. */
static bool may_start(const fake_task *task) { return host_function == NULL || !operation_is_host(&task->operation); }

fake_task *tasks_pick(void) {
    size_t first = ready_count > 0 ? random_number() % ready_count : 0;
    for (size_t i = 0; i < ready_count; i++) {
        fake_task *picked = ready[(first + i) % ready_count];
        if (!may_start(picked)) continue;
        take_ready(picked, TASK_GIVEN);
        return picked;
    }
    return NULL;
}

static void finish(fake_task *task) {
    task->state = TASK_DONE;
    task->finished = now_nanoseconds();
    if (host_function == task) host_function = NULL;
    operation_end(&task->operation);
    for (size_t i = 0; i < task->then_count; i++) {
        if (--task->then[i]->unmet == 0 && task->then[i]->state == TASK_WAITING) add_ready(task->then[i]);
        task_drop(task->then[i]);
    }
    for (size_t i = 0; i < task->after_count; i++) task_drop(task->after[i]);
    task->then_count = task->after_count = 0;
    if (task->previous != NULL) task->previous->next = task->next;
    else pending = task->next;
    if (task->next != NULL) task->next->previous = task->previous;
    else pending_last = task->previous;
    task->previous = task->next = NULL;
    pending_count--;
    pthread_cond_broadcast(&the_driver.changed);
    workers_wake();
    task_drop(task);
}

void task_run(fake_task *task) {
    task->state = TASK_RUNNING;
    fake_context *in = task->operation.in;
    /* Work behind an error is dropped. */
    if (in->lost == CUDA_SUCCESS) task->result = operation_run(task);
    if (task->result != CUDA_SUCCESS) context_lose(in, task->result);
    finish(task);
}

/* Runs a ready piece, or has it run by the thread for host functions. False where it has to wait for another one. */
static bool run_ready(fake_task *task) {
    if (!may_start(task)) return false;
    if (operation_needs_thread(&task->operation)) {
        take_ready(task, TASK_GIVEN);
        workers_give(task);
    } else {
        take_ready(task, TASK_RUNNING);
        task_run(task);
    }
    return true;
}

/* Something ready that `goal` comes after, or itself; NULL when all of that is running. */
static fake_task *find_ready(fake_task *goal) {
    while (goal->state == TASK_WAITING) {
        size_t first = random_number() % goal->after_count;
        fake_task *next = NULL;
        for (size_t i = 0; i < goal->after_count && next == NULL; i++) {
            fake_task *earlier = goal->after[(first + i) % goal->after_count];
            if (earlier->state == TASK_WAITING || earlier->state == TASK_READY) next = earlier;
        }
        if (next == NULL) return NULL;
        goal = next;
    }
    return goal->state == TASK_READY ? goal : NULL;
}

void task_wait(fake_task *goal) {
    if (goal == NULL) return;
    task_hold(goal);
    while (goal->state != TASK_DONE) {
        /* Threads run what is ready by themselves, unless they are held. */
        bool runs_by_itself = the_driver.settings.threads && !the_driver.is_held;
        fake_task *next = runs_by_itself ? NULL : find_ready(goal);
        if (next == NULL || !run_ready(next)) pthread_cond_wait(&the_driver.changed, &the_driver.lock);
    }
    task_drop(goal);
}

void task_poke(fake_task *goal) {
    if (the_driver.settings.threads || the_driver.is_held) return;
    fake_task *next = NULL;
    unsigned long long chance = random_number() % 4;
    if (chance == 0 && goal != NULL && goal->state != TASK_DONE) next = find_ready(goal);
    if (chance == 1 && ready_count > 0) next = ready[random_number() % ready_count];
    if (next != NULL) (void)run_ready(next);
}

void task_submit(fake_task *task) {
    task->number = ++submitted;
    task_hold(task); /* for the list of what has not ended */
    task->previous = pending_last;
    if (pending_last != NULL) pending_last->next = task;
    else pending = task;
    pending_last = task;
    pending_count++;
    if (task->unmet == 0) add_ready(task);
    workers_wake();
    /* A queue that is full: the call waits until the oldest has ended. */
    if (pending_count > MOST_PENDING && !the_driver.is_held) {
        if (!operation_needs_thread(&pending->operation)) task_wait(pending);
        else if (pending->state == TASK_READY && !the_driver.settings.threads) (void)run_ready(pending);
    }
}

void tasks_wait_all(const fake_context *context) {
    unsigned long long last = submitted; /* not what others submit meanwhile */
    for (fake_task *at = pending; at != NULL && at->number <= last;) {
        if (context != NULL && at->operation.in != context) {
            at = at->next;
            continue;
        }
        task_wait(at);
        at = pending; /* the list has changed */
    }
}

bool tasks_use(CUdeviceptr start, size_t size) { return tasks_use_unordered(start, size, NULL); }

/* Marks all that comes behind a piece of work. */
static void visit(fake_task *task, unsigned long long mark) {
    if (task->visited == mark) return;
    task->visited = mark;
    for (size_t i = 0; i < task->then_count; i++) visit(task->then[i], mark);
}

bool tasks_use_unordered(CUdeviceptr start, size_t size, fake_task *task) {
    static unsigned long long visits;
    visits++;
    if (task != NULL) visit(task, visits);
    for (const fake_task *at = pending; at != NULL; at = at->next)
        if (at->visited != visits && operation_uses(&at->operation, start, size)) return true;
    return false;
}

void tasks_reset(void) {
    while (pending != NULL) {
        fake_task *at = pending;
        if (at->state == TASK_READY) take_ready(at, TASK_RUNNING);
        finish(at);
    }
    free(ready);
    ready = NULL;
    ready_count = 0;
}
