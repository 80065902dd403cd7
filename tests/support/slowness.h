/* How slow the tests' programs run, so that what only takes longer is done less often where it takes very long. */
#ifndef TESTS_SUPPORT_SLOWNESS_H
#define TESTS_SUPPORT_SLOWNESS_H

#include <stdbool.h>

/* A number from an environment variable, or the default. */
unsigned long test_number(const char *variable, unsigned long otherwise);
/* How much slower than plain this build runs: 1, or more under a sanitizer. */
unsigned test_slowness(void);
/* Whether this build looks for races and nothing else, so that what one thread does alone is of little use. */
bool test_sees_only_races(void);

#endif
