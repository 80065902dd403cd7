/* What the conformance suite runs over: every allocator spec on every device. One more string in specs.c is one more allocator
 * tested, or one more device. */
#ifndef TESTS_MEMORY_SPECS_H
#define TESTS_MEMORY_SPECS_H

#include <stdbool.h>
#include <stddef.h>

/* What a spec or a device can do; a test says what it needs. */
enum {
    SPEC_CACHES = 1u << 0,     /* freed memory is kept and used again */
    SPEC_LIMITS = 1u << 1,     /* tarn_allocator_set_limit works */
    SPEC_NEEDS_FILE = 1u << 2, /* FILE in the text stands for a file of its own */
    DEVICE_GATES = 1u << 3,    /* a test can hold a stream back (stand_hold) */
    DEVICE_STORES = 1u << 4,   /* the host reads and writes the memory */
    DEVICE_IS_FAKE = 1u << 5,  /* tests/support/fake.h: calls can be made to fail */
    DEVICE_COUNTS = 1u << 6,   /* the device is this test's alone, and has 8 GiB */
    SPEC_UNLIMITED = 1u << 7,  /* may use all that the device has */
    SPEC_ONE_THREAD = 1u << 8, /* is for one thread at a time; all others have SPEC_THREADS without being told */
    SPEC_THREADS = 1u << 9,
    SPEC_RESETS = 1u << 10,       /* an arena */
    SPEC_CLEARS = 1u << 11,       /* a pool */
    SPEC_MOVES = 1u << 12,        /* what is served again and again is served from elsewhere once it is known: a plan */
    DEVICE_ON_REQUEST = 1u << 13, /* only where TARN_TEST_DEVICE names it */
    /* A free never waits, and what is freed is used again in the order of streams; all with SPEC_CACHES have this without being told. */
    SPEC_FREES_AT_ONCE = 1u << 14,
    SPEC_POOLED = 1u << 15,  /* needs a device with stream-ordered pools */
    DEVICE_POOLS = 1u << 16, /* has them */
    SPEC_SHARED = 1u << 17,  /* needs a device with memory that other processes can be given */
    DEVICE_SHARES = 1u << 18 /* has it */
};

typedef struct test_spec {
    const char *text;
    unsigned abilities; /* SPEC_… */
} test_spec;

typedef struct test_device {
    const char *name;
    unsigned abilities; /* DEVICE_… */
} test_device;

/* A test that a spec or a device cannot pass by its nature, with the reason. NULL stands for all. */
typedef struct test_exception {
    const char *test, *spec, *device, *reason;
} test_exception;

extern const test_spec test_specs[];
extern const size_t test_spec_count;
extern const test_device test_devices[];
extern const size_t test_device_count;

/* Whether the device is tested: TARN_TEST_DEVICE=cuda:0,cuda:1 names those that are, and without it they are all but those
 * on request. */
bool test_is_requested(const test_device *device);
/* Whether the spec can be had on the device. */
bool test_is_possible(const test_spec *spec, const test_device *device);
/* What a spec on a device can do, together. */
unsigned test_abilities(const test_spec *spec, const test_device *device);
/* The reason why the test is not run there, or NULL. */
const char *test_not_supported(const char *test, const char *spec, const char *device);

#endif
