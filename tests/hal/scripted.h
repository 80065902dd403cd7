/* The fake driver of tests/support under a script: the test chooses the answers to some calls, which are counted, and their
 * memory is malloc's. It has no virtual memory. */
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include <tarn/backend.h>

/* What it does; the test changes it between calls. */
typedef struct scripted_behaviour {
    tarn_status start, open, allocate, free, query; /* statuses to answer; TARN_OK does the work */
    int explains;                                   /* failures come with a sentence */
    int opens_nothing;                              /* open says OK and gives no device */
    void *address;                                  /* when not NULL: the address that allocations get */
    int gives_null;                                 /* allocations say OK and give none */
    size_t alignment, maximum_alignment, granule;
    uint32_t features;
    void (*during_start)(void); /* called in start */
    void (*during_open)(void);  /* called in open */
} scripted_behaviour;

typedef struct scripted_counts {
    int starts, stops, opens, closes, allocates, frees, synchronizes, stream_destroys, event_destroys;
} scripted_counts;

extern scripted_behaviour scripted;
extern scripted_counts scripted_calls;

/* Behaviour and counts as at the beginning. */
void scripted_reset(void);
/* A table of that name with all required functions and no virtual memory. */
tarn_backend scripted_table(const char *name);

#endif
