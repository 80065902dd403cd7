/* What processes share: events whose state lies in a page that both map. */
#ifndef FAKECUDA_SHARE_H
#define FAKECUDA_SHARE_H

typedef struct shared_event shared_event;

/* NULL when the system refuses. */
shared_event *shared_event_make(void);
/* The next record's number, which its signal reaches. */
unsigned long long shared_event_next(shared_event *shared);
/* The last record's number, in whatever process. */
unsigned long long shared_event_last(const shared_event *shared);
bool shared_event_is_done(const shared_event *shared, unsigned long long number);
void shared_event_signal(shared_event *shared, unsigned long long number);
/* Waits; the lock is given up meanwhile. */
void shared_event_await(shared_event *shared, unsigned long long number);

#endif
