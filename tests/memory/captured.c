/* Work to capture; see captured.h. */
#include "captured.h"

#include <string.h>

enum { SHOWN = 16 };

static unsigned next(unsigned *random) {
    *random = *random * 1103515245u + 12345u;
    return *random >> 8;
}

void captured_add(captured_program *program, captured_what what, int buffer, size_t size, int stream) {
    assert_true(program->count < CAPTURED_STEPS);
    program->steps[program->count++] = (captured_step){what, buffer, size, stream};
    if (what == CAPTURED_TAKE) program->buffers++;
}

void captured_generate(captured_program *program, unsigned seed, bool has_forks, size_t most) {
    unsigned random = seed * 7919u + 1;
    int live[CAPTURED_STEPS], streams[CAPTURED_STEPS], phases[CAPTURED_STEPS], count = 0, phase = 0;
    *program = (captured_program){.count = 0};
    while (program->count < CAPTURED_STEPS / 2) {
        bool is_forked = phase % 2 == 1;
        int stream = is_forked ? (int)(next(&random) % 2) : 0;
        unsigned choice = next(&random) % 100;
        if (has_forks && choice < 6) {
            captured_add(program, is_forked ? CAPTURED_JOIN : CAPTURED_FORK, 0, 0, 0);
            phase++;
        } else if (choice < 55 || count == 0) {
            int number = program->buffers;
            streams[number] = stream;
            phases[number] = phase;
            captured_add(program, CAPTURED_TAKE, number, 16 + next(&random) % (next(&random) % most + 1), stream);
            live[count++] = number;
        } else {
            int place = (int)(next(&random) % (unsigned)count), number = live[place];
            live[place] = live[--count];
            /* On the stream that made it, unless that has been joined since. */
            captured_add(program, CAPTURED_GIVE, number, 0, phases[number] == phase ? streams[number] : stream);
        }
    }
    if (phase % 2 == 1) captured_add(program, CAPTURED_JOIN, 0, 0, 0);
}

static unsigned char mark_of(int number) { return (unsigned char)(number % 250 + 1); }

/* Waits on one stream for the other's work so far. */
static void follow(tarn_stream *first, tarn_stream *second) {
    tarn_event *event = NULL;
    EXPECT_OK(tarn_stream_record(first, &event));
    EXPECT_OK(tarn_stream_wait(second, event));
    EXPECT_OK(tarn_event_release(event));
}

static void show(const captured_run *run, int number, tarn_stream *stream) {
    const struct captured_buffer *buffer = &run->buffers[number];
    char *to = (char *)tarn_buffer_data(run->shown) + (size_t)number * SHOWN, *from = tarn_buffer_data(buffer->buffer);
    EXPECT_OK(tarn_stream_copy(stream, to, from, SHOWN / 2));
    EXPECT_OK(tarn_stream_copy(stream, to + SHOWN / 2, from + buffer->size - SHOWN / 2, SHOWN / 2));
}

static bool is_before(const struct captured_buffer *a, const struct captured_buffer *b) {
    if (a->freed_step < 0) return false;
    return a->freed_phase < b->phase || (a->freed_stream == b->stream && a->freed_step < b->step);
}

static void check_addresses(const captured_run *run) {
    for (int i = 0; i < run->count; i++) {
        for (int k = 0; k < i; k++) {
            const struct captured_buffer *a = &run->buffers[i], *b = &run->buffers[k];
            bool is_apart = a->address + a->size <= b->address || b->address + b->size <= a->address;
            assert_true(is_apart || is_before(a, b) || is_before(b, a));
        }
    }
}

void captured_play(captured_run *run, test_stand *stand, const captured_program *program, uint64_t name, int steps) {
    *run = (captured_run){.stand = stand};
    run->shown = take(stand, (size_t)(program->buffers + 1) * SHOWN, NULL);
    tarn_stream *const *streams = stand->streams;
    int phase = 0;
    EXPECT_OK(tarn_graph_pool_begin_named_capture(stand->allocator, streams[0], TARN_CAPTURE_GLOBAL, name));
    for (int i = 0; i < (steps >= 0 ? steps : program->count); i++) {
        const captured_step *step = &program->steps[i];
        struct captured_buffer *buffer = &run->buffers[step->buffer];
        tarn_stream *stream = streams[step->stream];
        if (step->what == CAPTURED_FORK || step->what == CAPTURED_JOIN) {
            bool is_fork = step->what == CAPTURED_FORK;
            follow(streams[is_fork ? 0 : 1], streams[is_fork ? 1 : 0]);
            phase++;
        } else if (step->what == CAPTURED_TAKE) {
            *buffer = (struct captured_buffer){.buffer = take(stand, step->size, stream),
                                               .size = step->size,
                                               .stream = step->stream,
                                               .phase = phase,
                                               .step = i,
                                               .freed_step = -1};
            buffer->address = (uintptr_t)tarn_buffer_data(buffer->buffer);
            capture_fill(stream, buffer->buffer, mark_of(step->buffer));
            run->count++;
        } else {
            show(run, step->buffer, stream);
            give(stand, buffer->buffer, stream);
            buffer->buffer = NULL;
            buffer->freed_stream = step->stream;
            buffer->freed_phase = phase;
            buffer->freed_step = i;
        }
    }
    check_addresses(run);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    if (steps >= 0) {
        EXPECT_OK(tarn_stream_abort_capture(streams[0]));
        return;
    }
    for (int i = 0; i < run->count; i++)
        if (run->buffers[i].buffer != NULL) show(run, i, streams[0]);
    run->instance = capture_end(stand);
}

void captured_launch(const captured_run *run) {
    size_t size = tarn_buffer_size(run->shown);
    bool has_memory = strcmp(run->stand->device_name, "cpu") == 0;
    if (has_memory) memset(tarn_buffer_data(run->shown), 0, size);
    EXPECT_OK(tarn_graph_instance_launch(run->instance, run->stand->streams[0]));
    EXPECT_OK(tarn_stream_synchronize(run->stand->streams[0]));
    const unsigned char *bytes = tarn_buffer_data(run->shown);
    for (int i = 0; i < run->count * SHOWN && has_memory; i++) assert_int_equal(bytes[i], mark_of(i / SHOWN));
}

void captured_finish(captured_run *run) {
    if (run->instance != NULL) capture_finish(run->stand, run->instance);
    for (int i = 0; i < run->count; i++)
        if (run->buffers[i].buffer != NULL) give(run->stand, run->buffers[i].buffer, NULL);
    give(run->stand, run->shown, NULL);
}
