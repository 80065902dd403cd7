/* Gates: a stream that reaches one waits until the test opens it, so that tests decide when a stream's work is done. */
#ifndef TESTS_SUPPORT_GATE_H
#define TESTS_SUPPORT_GATE_H

typedef struct test_gate test_gate;

test_gate *gate_create(void);
void gate_destroy(test_gate *gate);
void gate_open(test_gate *gate);
int gate_is_open(test_gate *gate);
/* A host function: waits until the gate that is its context is open. */
void gate_pass(void *context);

#endif
