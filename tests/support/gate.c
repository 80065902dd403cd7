/* A gate is a flag under a lock, with a condition for those who wait. */
#include "gate.h"

#include <pthread.h>
#include <stdlib.h>

struct test_gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int is_open; /* protected by lock */
};

test_gate *gate_create(void) {
    test_gate *created = calloc(1, sizeof *created);
    if (created == NULL) abort();
    pthread_mutex_init(&created->lock, NULL);
    pthread_cond_init(&created->opened, NULL);
    return created;
}

void gate_destroy(test_gate *gate) {
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

void gate_open(test_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->is_open = 1;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

int gate_is_open(test_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    int is_open = gate->is_open;
    pthread_mutex_unlock(&gate->lock);
    return is_open;
}

void gate_pass(void *context) {
    test_gate *gate = context;
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_open) pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}
