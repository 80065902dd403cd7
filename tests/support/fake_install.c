/* Registering the fake driver, apart from it: shared objects that hold the driver do not register it themselves. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake.h"

static void install(void) {
    if (tarn_backend_register(&fake_driver) != TARN_OK) {
        fprintf(stderr, "%s\n", tarn_last_error());
        abort();
    }
}

void fake_install(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}
