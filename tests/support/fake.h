/* A fake driver, registered as the backend "fake": a strict judge of the calls that reach it.
 *
 * "fake:8GiB" has virtual memory with granules of 2 MiB, "fake:8GiB,flat" has none; with ",aliasing" a granule may be
 * mapped at several addresses. Nothing is stored behind its addresses. It has stream-ordered pools: making one counts as FAKE_CREATE, trimming as FAKE_RELEASE.
 * It keeps a ledger of what was allocated, reserved, created and mapped, and a call that breaks the rules of tarn/backend.h is
 * a violation, which fails the test that caused it. Streams stand still at gates until the test opens them; the host waiting
 * for such a stream opens all gates, as time would. Any call can be made to fail, and the memory calls to lie. */
#ifndef TESTS_SUPPORT_FAKE_H
#define TESTS_SUPPORT_FAKE_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/backend.h>
#include <tarn/tarn.h>

/* Calls that can fail, as bits. */
enum {
    FAKE_ALLOCATE = 1u << 0,
    FAKE_FREE = 1u << 1,
    FAKE_RESERVE = 1u << 2,
    FAKE_UNRESERVE = 1u << 3,
    FAKE_CREATE = 1u << 4,
    FAKE_RELEASE = 1u << 5,
    FAKE_MAP = 1u << 6,
    FAKE_UNMAP = 1u << 7,
    FAKE_EVENT_CREATE = 1u << 8,
    FAKE_EVENT_RECORD = 1u << 9,
    FAKE_EVENT_QUERY = 1u << 10,
    FAKE_EVENT_SYNCHRONIZE = 1u << 11,
    FAKE_STREAM_CREATE = 1u << 12,
    FAKE_STREAM_WAIT = 1u << 13,
    FAKE_STREAM_SYNCHRONIZE = 1u << 14,
    FAKE_DEVICE_SYNCHRONIZE = 1u << 15,
    FAKE_POOL_FIGURES = 1u << 16,
    FAKE_EVENTS = FAKE_EVENT_CREATE | FAKE_EVENT_RECORD | FAKE_EVENT_QUERY | FAKE_EVENT_SYNCHRONIZE,
    FAKE_GIVING_MEMORY = FAKE_ALLOCATE | FAKE_RESERVE | FAKE_CREATE | FAKE_MAP,
    FAKE_TAKING_MEMORY = FAKE_FREE | FAKE_UNRESERVE | FAKE_RELEASE | FAKE_UNMAP,
    FAKE_WAITS = FAKE_EVENT_SYNCHRONIZE | FAKE_STREAM_SYNCHRONIZE | FAKE_DEVICE_SYNCHRONIZE,
    FAKE_ALL = (1u << 17) - 1u
};

/* What memory_allocate and virtual_reserve answer while lying: OK, and this for an address. */
typedef enum fake_lie { FAKE_TRUTH = 0, FAKE_NULL, FAKE_MISALIGNED, FAKE_OVERLAPPING } fake_lie;

/* The driver's functions. */
extern const tarn_backend fake_driver;
/* Registers the backend, once. */
void fake_install(void);
/* No faults, no lies, full capacity, all gates open, no violations. */
void fake_reset(void);

/* The `at`-th of the calls named by `calls` fails from now on, with `for_good` all later ones too; 0: none fails, but they
 * are counted. */
void fake_fail(unsigned calls, unsigned long at, int for_good, tarn_status status);
/* After fake_fail: the `at`-th of those calls, counted from the same beginning, fails too; 0: none. */
void fake_fail_too(unsigned long at);
/* Calls of the kinds named in the last fake_fail since then. */
unsigned long fake_calls(void);
/* Once, as the next call of those kinds arrives, `act` is called with no lock of the driver held: what other threads do meanwhile. */
void fake_meanwhile(unsigned calls, void (*act)(void *context), void *context);
void fake_lies(fake_lie lie);
/* Bytes of physical memory that there are from now on; 0: as in the device's name. */
void fake_capacity(uint64_t bytes);

/* The next memory_allocate of `size` bytes lies at `address`, where a driver once put it. */
void fake_place(uint64_t address, size_t size);
/* Whether that has not been asked for yet. */
int fake_place_is_left(void);

/* Which physical memory is behind an address; 0 where none is mapped. */
int fake_physical(const void *address, uint64_t *out_physical);

/* A host function that makes the stream that runs it stand still until the gate is open (gate.h). */
void fake_hold(void *context);
/* Lets streams go on whose gates have been opened. */
void fake_proceed(void);
/* Times the host waited for a stream that stood still. */
unsigned long fake_forced_waits(void);
/* Times memory was unmapped or freed while a stream stood still. */
unsigned long fake_taken_while_held(void);
/* The range is used by a stream that stands still, from now until fake_reset; a few can be named. Taking it then, or a part of it, is a
 * broken rule. */
void fake_use_while_held(const void *address, size_t size);
/* Broken rules so far; the first is written to `out_first`, which lives until fake_reset. */
unsigned long fake_violations(const char **out_first);

#endif
