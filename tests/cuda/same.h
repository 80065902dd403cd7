/* Comparing declarations with a vendor's: a type and the vendor's, a member and the vendor's, a constant and the vendor's. */
#ifndef TESTS_CUDA_SAME_H
#define TESTS_CUDA_SAME_H

#include <stddef.h>

#define SAME_SIZE(ours, theirs) assert_int_equal(sizeof(ours), sizeof(theirs))
#define SAME_PLACE(ours, member, theirs, their_member)                                      \
    do {                                                                                    \
        assert_int_equal(offsetof(ours, member), offsetof(theirs, their_member));           \
        assert_int_equal(sizeof(((ours *)0)->member), sizeof(((theirs *)0)->their_member)); \
    } while (0)
#define SAME_VALUE(ours, theirs) assert_int_equal((int)(ours), (int)(theirs))

#endif
