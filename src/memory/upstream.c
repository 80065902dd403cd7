/* Taking pieces of memory from the element below; see upstream.h. */
#include "memory/upstream.h"

#include <stdio.h>

#include <tarn/size.h>

#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"

tarn_status upstream_prepare(tarn_device *device, memory_arguments *arguments, tarn_allocator *given,
                             const memory_strategy *own, tarn_allocator **out_upstream) {
    if (given != NULL) {
        *out_upstream = given;
        return memory_arguments_check(arguments);
    }
    char *spec = base_duplicate(own->name);
    if (spec == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an allocator", arguments->name);
    tarn_allocator *created;
    tarn_status status = own->create(device, arguments, NULL, &created);
    if (status != TARN_OK) {
        base_free(spec);
        return status;
    }
    created->spec = spec;
    *out_upstream = created;
    return TARN_OK;
}

void upstream_undo(tarn_allocator *given, tarn_allocator *upstream) {
    if (upstream != given) tarn_allocator_release(upstream);
}

tarn_status upstream_take(tarn_allocator *self, size_t size, size_t alignment, tarn_stream *stream,
                          memory_block **out_piece) {
    memory_request request = {
        .size = size,
        .alignment = alignment,
        .stream = stream,
        .tag = self->strategy->name,
        .outer = self->upstream,
        .is_for_all = true,
    };
    return memory_allocate(self->upstream, &request, out_piece);
}

static tarn_status share(direct_streams *streams, memory_block *piece, const direct_use *use) {
    direct_use alone = {.stream = use->stream};
    direct_stream *entry = direct_streams_hold(streams, use->stream);
    if (entry == NULL) return TARN_OK;
    tarn_stream *stream = entry->stream;
    bool is_retained = hal_stream_retain_unless_ending(stream);
    /* The last reference may be this one, and its end waits for who holds the stream. */
    direct_streams_hold_end(streams, entry);
    if (!is_retained) return direct_streams_wait(streams, &alone);
    const memory_strategy *strategy = piece->owner->strategy;
    tarn_status status =
        strategy->record_stream != NULL ? strategy->record_stream(piece->owner, piece, stream) : TARN_OK;
    tarn_stream_release(stream);
    return status;
}

tarn_status upstream_share(direct_streams *streams, memory_block *piece, const direct_use *uses) {
    tarn_status status = TARN_OK;
    for (const direct_use *use = uses; use != NULL && status == TARN_OK; use = use->next)
        status = share(streams, piece, use);
    return status == TARN_OK ? TARN_OK : direct_streams_wait(streams, uses);
}

tarn_status upstream_share_stream(direct_streams *streams, memory_block *piece, uint32_t stream) {
    direct_use use = {.stream = stream};
    return stream != piece->stream ? upstream_share(streams, piece, &use) : TARN_OK;
}

tarn_status upstream_give(tarn_allocator *self, memory_block *piece) {
    return memory_free(self->upstream, piece, NULL);
}

tarn_status upstream_serve(tarn_allocator *self, const upstream_steps *steps, const memory_request *request,
                           size_t capacity, memory_block **out_block) {
    for (;;) {
        memory_block *block = NULL;
        tarn_status status = steps->find(self, request, capacity, &block);
        if (status == TARN_OK && block != NULL) *out_block = block;
        if (status != TARN_OK || block != NULL) return status;
        status = steps->grow(self, request, capacity);
        if (status == TARN_OK) continue;
        if (!upstream_is_short(status)) return status;
        /* What is tried now may fail too; the sentence that counts is the one of the element below. */
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        if (!steps->make_room(self, request, capacity)) return base_fail(status, "%s", sentence);
    }
}

tarn_status upstream_explain(const tarn_allocator *self, tarn_status status, size_t asked, uint64_t in_use,
                             uint64_t held, uint64_t largest_free) {
    char size[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], cached[TARN_SIZE_TEXT], largest[TARN_SIZE_TEXT];
    return base_fail_within(status, "%s: %s: %s asked, %s in use, %s cached, largest free block %s",
                            tarn_device_name(self->device), self->spec != NULL ? self->spec : self->strategy->name,
                            tarn_size_format(asked, size), tarn_size_format(in_use, used),
                            tarn_size_format(held - in_use, cached), tarn_size_format(largest_free, largest));
}
