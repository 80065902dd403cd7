/* direct: each request is one driver call, and so is each free.
 *
 * Nothing is kept, so nothing can be handed out too early, except to the driver: before memory goes back, the work of the
 * streams that use it must have finished. Such a free waits, with no lock held. Where even waiting fails, or the driver does
 * not take the memory back, it is kept aside and tried again later; the free itself has succeeded. */
#include "memory/direct.h"

#include "base/memory.h"
#include "base/status.h"
#include "hal/memory.h"
#include "memory/direct_pieces.h"

typedef struct direct {
    direct_pieces pieces; /* the first member: an allocator is cast back to its direct */
    tarn_memory_kind kind;
} direct;

static tarn_memory_kind kind_of(const direct_pieces *pieces) { return ((const direct *)(const void *)pieces)->kind; }

static tarn_status obtain(direct_pieces *self, const memory_request *request, size_t capacity, direct_piece *piece,
                          void **out_address) {
    tarn_status status =
        hal_memory_allocate(self->base.device, kind_of(self), capacity, request->alignment, out_address);
    if (status != TARN_OK) return status;
    piece->base = *out_address;
    piece->size = capacity;
    return TARN_OK;
}

static tarn_status wait_for_uses(direct_pieces *self, const direct_piece *piece) {
    if (!piece->has_unknown_use) return direct_streams_wait(&self->streams, piece->uses);
    tarn_status status = tarn_device_synchronize(self->base.device);
    return direct_work_has_ended(status) ? TARN_OK : status;
}

static tarn_status give_back(direct_pieces *self, direct_piece *piece) {
    if (!piece->is_settled) {
        tarn_status status = wait_for_uses(self, piece);
        if (status != TARN_OK) return status;
        piece->is_settled = true;
    }
    return hal_memory_free(self->base.device, kind_of(self), piece->base, piece->size);
}

static const direct_source source = {.obtain = obtain, .give_back = give_back};

static tarn_memory_kind direct_kind(const tarn_allocator *allocator) {
    return kind_of((const direct_pieces *)(const void *)allocator);
}

static tarn_status direct_empty_cache(tarn_allocator *allocator) {
    size_t bytes = 0;
    return direct_pieces_retry(direct_pieces_of(allocator), &bytes);
}

static void direct_destroy(tarn_allocator *allocator) {
    direct_pieces_end(direct_pieces_of(allocator));
    memory_allocator_end(allocator);
}

static tarn_status direct_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                 tarn_allocator **out_allocator) {
    tarn_memory_kind kind = TARN_MEMORY_DEVICE;
    tarn_status status = memory_argument_kind(arguments, "kind", &kind);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if ((hal_device_properties(device)->memory_kinds & TARN_MEMORY_KIND_BIT(kind)) == 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no memory of the kind that \"direct\" is asked for",
                         tarn_device_name(device));
    }
    direct *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "direct: no host memory for an allocator");
    self->kind = kind;
    status = direct_pieces_begin(&self->pieces, &source, device);
    if (status != TARN_OK) {
        base_free(self);
        return status;
    }
    memory_allocator_begin(&self->pieces.base, &direct_strategy, device, upstream);
    *out_allocator = &self->pieces.base;
    return TARN_OK;
}

const memory_strategy direct_strategy = {
    .name = "direct",
    .create = direct_create,
    .destroy = direct_destroy,
    .allocate = direct_pieces_allocate,
    .free = direct_pieces_free,
    .empty_cache = direct_empty_cache,
    .stats = direct_pieces_stats,
    .reset_peaks = direct_pieces_reset_peaks,
    .each_block = direct_pieces_each_block,
    .find = direct_pieces_find,
    .check = direct_pieces_check,
    .record_stream = direct_pieces_record_stream,
    .kind = direct_kind,
};
