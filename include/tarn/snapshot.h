/* Snapshots: the state of an allocator in a file, in the layout of PyTorch's memory snapshots.
 *
 * The file is a pickle as torch.cuda.memory._dump_snapshot writes it: segments with their blocks, the history of a device, the
 * allocator's settings. So Tarn's own tool reads it (`tarn inspect`, `tarn replay`), and so do PyTorch's memory viewer and
 * torch/cuda/_memory_viz.py. */
#ifndef TARN_SNAPSHOT_H
#define TARN_SNAPSHOT_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

/* Writes what tarn_allocator_each_block shows to the file `path`, which appears whole or not at all: an older file of that name
 * stays as it was until the new one is complete.
 *
 * Each run of blocks without a gap between them, on one stream, is a segment; unmapped blocks are left out. A block has its
 * address, size and requested size in bytes, its state ("active_allocated", "active_pending_free" or "inactive"), and its tag, as
 * "user_metadata". Its frames are the callers that asked for it where the stack has `track`, else one that holds the tag, since
 * frames are what the viewer shows. The device is number 0; its name and the allocator's spec
 * stand in allocator_settings.
 *
 * The history is that of the outermost `record` adaptor in the stack, read back from its file; without one, or where the
 * recording has ended or went to a pipe or a terminal, it is empty. While other threads allocate, the history may tell of
 * what came after the state.
 *
 * INVALID_ARGUMENT: NULL or an empty path; INVALID_STATE: inside a callback of the allocator; NOT_SUPPORTED: an allocator that
 * cannot show its blocks; IO_ERROR: a directory, a full disk, a pipe that nobody reads; OUT_OF_MEMORY. Any thread; the
 * allocator is not locked while the file is written. */
TARN_API tarn_status tarn_allocator_snapshot(tarn_allocator *allocator, const char *path);

TARN_END_DECLARATIONS

#endif
