/* Gates: a stream that reaches one waits until the test opens it, so that tests decide when a stream's work is done. */
#ifndef TESTS_SUPPORT_GATE_H
#define TESTS_SUPPORT_GATE_H

#include <stdbool.h>

/* Opens once; all zero: closed. Outlives all that may reach it. */
typedef struct test_gate {
    bool is_open; /* protected by the lock of all gates, unless nobody can have reached it yet */
} test_gate;

void gate_open(test_gate *gate);
bool gate_is_open(const test_gate *gate);
/* A host function: waits until the gate that is its context is open. */
void gate_pass(void *context);

#endif
