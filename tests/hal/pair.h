/* Devices that reach each other's memory: the backends "pair", which has all that a table of peers can have, and copies of boxes, "boxless"
 * whose table of peers is smaller, "plain" without what is optional, and "alone" without peers. They are the scripted backend, with memory that is really copied and pinned memory. */
#ifndef PAIR_H
#define PAIR_H

#include <stdbool.h>

#include <tarn/backend.h>

/* What they answer, and what reached them. */
typedef struct pair_behaviour {
    tarn_status ask, enable, disable, copy, wait, stream_copy, copy_box, stream_copy_box; /* TARN_OK does the work */
    bool is_refused;                                                                      /* can_access says no */
    int enables, disables, peer_copies, peer_waits, copies, peer_boxes, boxes;
    int violations; /* of the rules in tarn/backend.h */
} pair_behaviour;

extern pair_behaviour pair;

/* Registers them, once, and resets. */
void pair_install(void);
/* Behaviour and counts as at the beginning. */
void pair_reset(void);

#endif
