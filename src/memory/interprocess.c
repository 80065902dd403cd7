/* Exporting and importing buffers: everything that comes from another process is looked over here before a device sees it. */
#include <tarn/interprocess.h>

#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/memory.h"
#include "memory/imported.h"
#include "memory/stack.h"

/* FNV-1a, 64 bits: finds what was damaged or made by hand without care, not what was made to deceive. That the figures fit the
 * memory is looked at by itself. */
static uint64_t mix(uint64_t sum, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static uint64_t sum_of(const tarn_exported_buffer *exported) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    sum = mix(sum, exported->backend, sizeof exported->backend);
    sum = mix(sum, &exported->segment_size, sizeof exported->segment_size);
    sum = mix(sum, &exported->offset, sizeof exported->offset);
    return mix(sum, &exported->size, sizeof exported->size);
}

tarn_status tarn_buffer_export(const tarn_buffer *buffer, tarn_exported_buffer *out_exported) {
    const memory_block *block = block_of(buffer);
    if (block == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%p is no live buffer", (const void *)buffer);
    if (out_exported == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the export is NULL");
    const tarn_allocator *owner = block->owner;
    tarn_device *device = owner->device;
    tarn_exported_buffer full = {.struct_size = sizeof full, .size = block->live.requested};
    if (strlen(device->table->name) >= sizeof full.backend) {
        return base_fail(TARN_NOT_SUPPORTED, "%s: the name of its backend is too long for an export", device->name);
    }
    void *segment;
    size_t segment_size;
    tarn_status status =
        hal_memory_export(device, block->address, full.size, &segment, &segment_size, &full.descriptor);
    if (status != TARN_OK) return base_fail_within(status, "a buffer of %s", owner->spec);
    memcpy(full.backend, device->table->name, strlen(device->table->name));
    full.segment_size = segment_size;
    full.offset = (uint64_t)((char *)block->address - (char *)segment);
    full.check = sum_of(&full);
    status = base_fill_structure(out_exported, &full, sizeof full, "tarn_exported_buffer");
    if (status != TARN_OK) close(full.descriptor);
    return status;
}

void tarn_exported_buffer_close(tarn_exported_buffer *exported) {
    if (exported == NULL || exported->descriptor < 0) return;
    close(exported->descriptor);
    exported->descriptor = -1;
}

/* Reads an export of whatever origin. */
static tarn_status read_export(const tarn_device *device, const tarn_exported_buffer *exported,
                               tarn_exported_buffer *out_read) {
    tarn_status status = base_read_structure("buffer_import", exported, out_read, sizeof *out_read);
    if (status != TARN_OK) return status;
    if (out_read->descriptor < 0)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the export to import is closed", device->name);
    if (out_read->check != sum_of(out_read) || out_read->backend[sizeof out_read->backend - 1] != '\0') {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the export to import was changed, or never was one", device->name);
    }
    if (strcmp(out_read->backend, device->table->name) != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s cannot import a buffer of backend \"%s\"", device->name,
                         out_read->backend);
    }
    uint64_t segment = out_read->segment_size;
    if (out_read->size == 0 || segment > PTRDIFF_MAX || out_read->offset > segment ||
        out_read->size > segment - out_read->offset) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %llu bytes from %llu on are not in a segment of %llu bytes",
                         device->name, (unsigned long long)out_read->size, (unsigned long long)out_read->offset,
                         (unsigned long long)segment);
    }
    return TARN_OK;
}

tarn_status tarn_buffer_import(tarn_device *device, const tarn_exported_buffer *exported, tarn_stream *stream,
                               tarn_buffer **out_buffer) {
    if (device == NULL || exported == NULL || out_buffer == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device, the export or the place for the buffer is NULL");
    }
    tarn_exported_buffer read;
    tarn_status status = read_export(device, exported, &read);
    if (status != TARN_OK) return status;
    stream = hal_stream_or_default(device, stream);
    if (stream == NULL) return TARN_INVALID_ARGUMENT;
    return imported_create(device, read.descriptor, (size_t)read.segment_size, (size_t)read.offset, (size_t)read.size,
                           stream, out_buffer);
}
