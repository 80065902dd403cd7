/* What the tests of the hardware layer share. */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "child.h"

/* The call succeeds, or the sentence of its failure is shown. */
#define assert_ok(call) check_status((call), TARN_OK, #call, __FILE__, __LINE__)
/* The call fails with that status. */
#define assert_fails(call, status) check_status((call), (status), #call, __FILE__, __LINE__)
/* The last sentence contains the text. */
#define assert_sentence(text) check_sentence((text), __FILE__, __LINE__)

void check_status(tarn_status answered, tarn_status expected, const char *call, const char *file, int line);
void check_sentence(const char *text, const char *file, int line);

tarn_device_counters counters_of(tarn_device *device);
tarn_device_properties properties_of(tarn_device *device);

#endif
