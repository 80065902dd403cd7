/* The part of state.h on work: operations, and pieces of work in the order that the rules give. The same rule of the lock holds. */
#ifndef FAKECUDA_WORK_H
#define FAKECUDA_WORK_H

#include "state.h"

/* task.c: work, in the order that the rules give. */
typedef enum operation_kind {
    OPERATION_MARK, /* nothing: an event, a join */
    OPERATION_COPY,
    OPERATION_FILL,
    OPERATION_HOST,
    OPERATION_CALLBACK,
    OPERATION_KERNEL,
    OPERATION_ALLOCATE,
    OPERATION_FREE,
    OPERATION_AWAIT,  /* an event of another process */
    OPERATION_SIGNAL, /* the same */
    OPERATION_RECORD, /* an event node */
    OPERATION_LAST    /* the last of a graph's launch */
} operation_kind;
typedef struct fake_place {
    CUdeviceptr address;
    size_t pitch;
    size_t plane;
} fake_place;
struct fake_operation {
    operation_kind kind;
    fake_context *in;
    union {
        struct {
            fake_place to, from;
            size_t width, rows, planes;
            void *staged; /* a copy of pageable memory, taken when the call was made */
        } copy;
        struct {
            fake_place to;
            unsigned value, element;
            size_t width, rows; /* width in elements */
        } fill;
        struct {
            CUhostFn function;
            CUstreamCallback callback;
            CUstream stream;
            void *data;
        } host;
        struct {
            fake_kernel *function;
            unsigned grid[3], block[3], shared;
            unsigned char *parameters;
        } kernel;
        struct {
            CUdeviceptr address;
            size_t size;
        } memory;
        struct {
            struct shared_event *event;
            unsigned long long number;
        } shared;
        struct {
            fake_event *event;
        } record;
        void *launched;
    };
};
typedef enum task_state { TASK_WAITING, TASK_READY, TASK_GIVEN, TASK_RUNNING, TASK_DONE } task_state;
struct fake_task {
    fake_operation operation;
    task_state state;
    bool is_blocking; /* of a stream that the legacy stream waits for */
    bool is_legacy;
    unsigned references;
    unsigned long long number;   /* in order of submission */
    unsigned long long finished; /* nanoseconds */
    CUresult result;
    fake_task **after;
    size_t after_count, unmet;
    fake_task **then;
    size_t then_count;
    size_t ready_index;
    unsigned long long visited;
    fake_task *next, *previous; /* among what has not ended */
};
/* Takes over what the operation owns. The caller holds the task and drops it. */
fake_task *task_make(const fake_operation *operation);
void task_after(fake_task *later, fake_task *earlier);
void task_submit(fake_task *task);
fake_task *task_hold(fake_task *task);
void task_drop(fake_task *task);
bool task_is_done(const fake_task *task); /* NULL is done */
/* Waits until the task has ended; the lock is given up meanwhile. */
void task_wait(fake_task *goal);
/* A query was made: now and then, something runs. */
void task_poke(fake_task *goal);
/* Every piece of work of a context (NULL: of all). */
void tasks_wait_all(const fake_context *context);
fake_task *tasks_first(void);
unsigned long long tasks_pending(void);
void tasks_reset(void);
unsigned long long random_number(void);
void random_seed(unsigned long long seed);
/* workers.c asks for these. */
fake_task *tasks_pick(void);    /* one that may run, taken; NULL when there is none */
void task_run(fake_task *task); /* one that was taken */
/* workers.c */
void workers_give(fake_task *task); /* has the thread for host functions run it */
void workers_wake(void);
void workers_stop(void); /* called without the lock */
/* operation.c */
CUresult operation_run(fake_task *task);
void operation_end(fake_operation *operation);
bool operation_is_host(const fake_operation *operation); /* a host function or a callback */
bool operation_needs_thread(const fake_operation *operation);
/* Whether it reads or writes a byte of the range. */
bool operation_uses(const fake_operation *operation, CUdeviceptr start, size_t size);
bool tasks_use(CUdeviceptr start, size_t size);
/* The same of work that does not come behind `task`. */
bool tasks_use_unordered(CUdeviceptr start, size_t size, fake_task *task);

#endif
