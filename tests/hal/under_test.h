/* The devices that a test of the hardware layer runs on: cpu and sim, or those that TARN_TEST_DEVICE names. */
#ifndef UNDER_TEST_H
#define UNDER_TEST_H

#include <stdbool.h>

#include <tarn/device.h>

/* Opens each and calls `body`; what it allocated is given back when it returns. */
void on_each_device(void (*body)(tarn_device *device));
/* Whether the device stores what is written to its memory. */
bool stores(tarn_device *device);

#endif
