/* All gates share a lock, and a condition for those who wait. */
#include "gate.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;

void gate_open(test_gate *gate) {
    pthread_mutex_lock(&lock);
    gate->is_open = true;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&lock);
}

bool gate_is_open(const test_gate *gate) {
    pthread_mutex_lock(&lock);
    bool is_open = gate->is_open;
    pthread_mutex_unlock(&lock);
    return is_open;
}

void gate_pass(void *context) {
    const test_gate *gate = context;
    pthread_mutex_lock(&lock);
    while (!gate->is_open) pthread_cond_wait(&opened, &lock);
    pthread_mutex_unlock(&lock);
}
