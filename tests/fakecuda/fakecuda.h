/* What the fake driver tells a test beyond the driver's own functions, and what a test may ask of it. A test finds them with
 * dlsym in the libcuda.so.1 that it loaded; a real driver has none of them.
 *
 * Settings, read from the environment by cuInit and fakecuda_reset:
 *   FAKECUDA_VERSION   the driver's version as cuDriverGetVersion gives it (13000)
 *   FAKECUDA_DEVICES   how many devices there are, 0 to 16 (2)
 *   FAKECUDA_MEMORY    bytes of memory of each device, with an optional KiB, MiB or GiB (8GiB)
 *   FAKECUDA_PEERS     0: no device reaches another's memory (1)
 *   FAKECUDA_POOLS     0: devices have no pools of stream-ordered memory (1)
 *   FAKECUDA_CONCURRENT 0: the host must not touch managed memory while a device works (1)
 *   FAKECUDA_SEED      the order in which work runs where the rules leave a choice (1)
 *   FAKECUDA_THREADS   1: work is run by threads as soon as it may, instead of as late as it may (0)
 *   FAKECUDA_DELAY     with threads, the longest pause before a piece of work, in microseconds (50)
 *   FAKECUDA_IDLE      without threads, milliseconds without a call after which work runs though nobody waits for it; 0: never (20)
 *   FAKECUDA_FAULT     SYMBOL:K:ERROR[:once|for-good][:before|after|deferred], several with commas: the K-th call of the
 *                      function fails; SYMBOL may be "any". Defaults: once, before
 *   FAKECUDA_MISSING   names of functions that cuGetProcAddress does not find, with commas
 *   FAKECUDA_KERNELS   a shared object with kernels that run on the host
 *   FAKECUDA_ABORT     1: the first violation ends the process, so that a debugger shows who did it (0) */
#ifndef FAKECUDA_H
#define FAKECUDA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* How often the driver was used in a way that its documentation forbids or leaves undefined; *sentence (which may be NULL) becomes one
 * on the first time, or NULL. It stays valid until fakecuda_reset or fakecuda_forget_violations. */
unsigned long long fakecuda_violations(const char **sentence);
void fakecuda_forget_violations(void);

/* How often a function was called; NULL: all functions together. */
unsigned long long fakecuda_calls(const char *name);

/* The names of all functions, ended by NULL. */
const char *const *fakecuda_symbols(void);

/* Objects that the program has made and not ended: streams, events, allocations, reservations, mappings, physical memory, pools,
 * graphs, modules. *list (which may be NULL) is given a list of how many of each, valid until the next such call. The default
 * pools and primary contexts are not counted. */
unsigned long long fakecuda_live_objects(const char **list);

/* Events that the program has made with exactly these flags and not destroyed. */
unsigned long long fakecuda_events(unsigned flags);

/* Bytes of a device's memory in use, as its capacity counts them. */
size_t fakecuda_memory_used(int ordinal);

/* Pieces of work that were given to streams and have not ended. */
unsigned long long fakecuda_pending(void);

/* While held, no work runs but what somebody waits for: neither queries nor idleness nor threads start any. */
void fakecuda_hold(int held);

/* Replaces the schedule of faults; NULL: none. Counts of calls begin again at 0. 0 when it was understood, else -1 and nothing
 * is changed. */
int fakecuda_fault(const char *text);

/* How many faults of the schedule have happened. */
unsigned long long fakecuda_faults_done(void);

/* The device is lost: each later call that needs its context answers `error` (a CUresult). */
void fakecuda_lose(int ordinal, int error);

/* Forgets everything, as if the process had just loaded the driver: waits for no work, frees all memory, counts from 0, reads the
 * settings again. No other thread may be in the driver. */
void fakecuda_reset(void);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
