/* What the tests of several strategies put an allocator through in the same way. */
#ifndef TESTS_MEMORY_TRIALS_H
#define TESTS_MEMORY_TRIALS_H

#include "stand.h"

/* Runs `body` on a fresh stand again and again, with another request for host memory failing each time, until none is left that it
 * makes. The body calls trial_shortage_ends when there is memory again, and then shows that everything works. Prints how many
 * requests there are, and returns it. */
unsigned long trial_of_each_shortage(const char *spec, const char *device, void (*body)(test_stand *stand));
void trial_shortage_ends(void);

/* An allocator with memory that two streams have used ends and says so, although the driver refuses to wait and to take memory. */
void trial_of_an_end_without_driver(const char *spec);

/* The file that the stand's allocator has recorded, which is complete, has that many allocations and as many frees. */
void trial_of_a_recording(test_stand *stand, size_t allocations);

/* The allocator is released while one buffer lives, and says so; the buffer stays good. For a device of the test's own. */
void trial_of_a_release_before_the_last_free(test_stand *stand);

#endif
