/* Judges what a reader made of arbitrary bytes, with code that shares nothing with the builder. */
#include "check_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/log.h>

void demand(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static void check_string(const tarn_trace_info *info, uint32_t string) {
    demand(string == TARN_TRACE_NO_STRING || string < info->string_count, "strings are numbered");
}

static void check_events(const tarn_trace *trace, const tarn_trace_info *info) {
    const tarn_trace_event *events = tarn_trace_events(trace);
    const tarn_trace_event **allocates = calloc(info->allocation_count + 1, sizeof(const tarn_trace_event *));
    unsigned char *freed = calloc(info->allocation_count + 1, 1);
    uint64_t live = 0, peak = 0, seen = 0;
    demand(allocates != NULL && freed != NULL, "the fuzzer has memory");
    for (size_t i = 0; i < info->event_count; i++) {
        const tarn_trace_event *event = &events[i];
        int initial = i < info->initial_count;
        demand(i == 0 || event->time_ns >= events[i - 1].time_ns, "time never goes back");
        demand(event->time_ns >= 0 && (!initial || event->time_ns == 0), "time starts at 0");
        demand(event->stream < info->stream_count && event->thread < info->thread_count &&
                   event->device < info->device_count,
               "streams, threads and devices are counted");
        demand(!initial || event->action == TARN_TRACE_ALLOCATE, "initial events are allocations");
        demand(!initial || i == 0 || event->address >= events[i - 1].address, "initial ones are in address order");
        check_string(info, event->tag);
        check_string(info, event->site);
        if (event->action == TARN_TRACE_ALLOCATE) {
            demand(event->id == seen++, "ids follow the order of allocations");
            allocates[event->id] = event;
            demand(live + event->size >= live, "live sizes fit");
            live += event->size;
            if (live > peak) peak = live;
        } else if (event->action == TARN_TRACE_FREE || event->action == TARN_TRACE_FREE_COMPLETED) {
            int completed = event->action == TARN_TRACE_FREE_COMPLETED;
            demand(event->id < seen && freed[event->id] == completed, "frees come once, completions after them");
            freed[event->id]++;
            const tarn_trace_event *allocate = allocates[event->id];
            demand(event->size == allocate->size && event->address == allocate->address &&
                       event->device == allocate->device,
                   "frees have their allocation's size, address and device");
            if (!completed) live -= event->size;
        } else {
            demand(event->action <= TARN_TRACE_MARK, "actions are known");
        }
    }
    demand(seen == info->allocation_count && peak == info->peak_live, "allocations and their peak are counted");
    free(allocates);
    free(freed);
}

static void check(const tarn_trace *trace) {
    tarn_trace_info info = {.struct_size = sizeof info};
    demand(tarn_trace_info_get(trace, &info) == TARN_OK, "a trace can be looked at");
    check_events(trace, &info);
    for (size_t i = 0; i < info.block_count; i++) {
        const tarn_trace_block *block = &tarn_trace_blocks(trace)[i];
        demand(block->stream < info.stream_count && block->device < info.device_count && block->state <= 2,
               "blocks have streams, devices and states");
        check_string(&info, block->site);
        check_string(&info, block->tag);
    }
    for (uint32_t i = 0; i < info.string_count; i++)
        demand(strlen(tarn_trace_string(trace, i)) < SIZE_MAX, "strings end");
}

void check_reader(tarn_status (*read)(const trace_input *input, tarn_trace **out_trace), const uint8_t *data,
                  size_t size) {
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    tarn_trace *trace = NULL;
    trace_input input = {.path = "input", .data = data, .size = size};
    tarn_status status = read(&input, &trace);
    if (status == TARN_OK) {
        check(trace);
        tarn_trace_release(trace);
        return;
    }
    demand(trace == NULL, "a failure leaves the result alone");
    demand(strncmp(tarn_last_error(), "input", 5) == 0, "a failure names the file");
}
