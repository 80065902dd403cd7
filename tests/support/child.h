/* Children of a test: forked, and judged by how they end. */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

/* What a child begins with: an end for one that hangs, and faults that kill it, which cmocka would take for a failed test of its own, and go on
 * with the others. A child is given nearly as long as the whole test, so that only one that hangs is ended, on a busy machine too.
 * valgrind looks for no leaks in it: what other threads had in hand at the fork has nobody to free it there, and what the parent had opened on a
 * device has to stay. */
void child_begin(void);
/* Runs the body in a forked child; its answer, or 1000 and the signal that ended it. */
int exit_of_child(int (*body)(void *context), void *context);

#endif
