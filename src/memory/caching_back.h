/* Putting memory behind addresses: granules that sleep there wake, free granules from elsewhere are mapped there, and new ones are made for
 * what is still missing. Called with the allocator's lock held. Driver calls here do not wait for the device. */
#ifndef MEMORY_CACHING_BACK_H
#define MEMORY_CACHING_BACK_H

#include "memory/caching_types.h"

/* Makes [offset, offset + size), in which no block is USED, FREE. OUT_OF_MEMORY, and nothing lost, when the device has no more. Where
 * the driver has to map anything, the caller grows the heap (caching_growth.h), and the lock is open while the driver is at it: the
 * range belongs to the caller meanwhile, and its FREE neighbours do not. */
tarn_status caching_back(caching_segment *segment, size_t offset, size_t size);

/* Makes a HOLLOW granule FREE where nothing is mapped, with new memory, whatever memory is free elsewhere. The rest is as above. */
tarn_status caching_back_new(caching_segment *segment, size_t index);

#endif
