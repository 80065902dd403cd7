/* A mark is what a public event was recorded as: one driver event, counted, so that whoever waits keeps the point that he
 * asked for although the event is recorded anew meanwhile. Driver events alone cannot promise that across devices. */
#ifndef HAL_MARK_H
#define HAL_MARK_H

#include "hal/event.h"

typedef struct hal_mark {
    hal_event *event; /* the mark keeps its device alive */
    atomic_uint references;
} hal_mark;

/* The event's present mark, retained. Fails when its device cannot be called, and with INVALID_STATE when the event was last
 * recorded in a capture. */
tarn_status hal_mark_of(tarn_event *event, hal_mark **out_mark);
void hal_mark_release(hal_mark *mark);
/* Waits without counting a device wait: for work, which runs on a thread of its own. */
tarn_status hal_mark_wait(hal_mark *mark);

/* INVALID_ARGUMENT unless event and stream belong to one device. */
tarn_status hal_event_check_device(const tarn_event *event, const tarn_stream *stream);
/* Records a public event on a stream of the same device. */
tarn_status hal_event_record_public(tarn_event *event, tarn_stream *stream);

#endif
