/* Giving back to the device what nobody uses: memory, then the addresses that nothing is mapped in, then heaps whose stream has ended.
 * Called with the allocator's lock held and growth stopped (caching_growth.h); the lock is open while the driver works, and what is given
 * back is nobody else's meanwhile. Driver calls here do not wait for the device. */
#ifndef MEMORY_CACHING_RELEASE_H
#define MEMORY_CACHING_RELEASE_H

#include "memory/caching_types.h"

/* Gives back every granule that is not in use and idle, and every segment and heap that is left empty. The bytes of memory given
 * back are added to `*inout_bytes`. Stops at the first call that the driver refuses; the rest stays as it was. */
tarn_status caching_release_idle(caching *owner, size_t *inout_bytes);

#endif
