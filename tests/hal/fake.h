/* A backend whose answers the test chooses: it counts every call and keeps no memory of its own but malloc's. */
#ifndef FAKE_H
#define FAKE_H

#include <tarn/backend.h>

/* What the fake does; the test changes it between calls. */
typedef struct fake_behaviour {
    tarn_status start, open, allocate, free, query; /* statuses to answer; TARN_OK does the work */
    int explains;                                   /* failures come with a sentence */
    int opens_nothing;                              /* open says OK and gives no device */
    void *address;                                  /* when not NULL: the address that allocations get */
    int gives_null;                                 /* allocations say OK and give none */
    size_t alignment, maximum_alignment, granule;
    uint32_t features;
    void (*during_start)(void); /* called in start */
    void (*during_open)(void);  /* called in open */
} fake_behaviour;

typedef struct fake_counts {
    int starts, stops, opens, closes, allocates, frees, synchronizes, stream_destroys, event_destroys;
} fake_counts;

extern fake_behaviour fake;
extern fake_counts fake_calls;

/* Behaviour and counts as at the beginning. */
void fake_reset(void);
/* A table of that name with all required functions and no virtual memory. */
tarn_backend fake_table(const char *name);

#endif
