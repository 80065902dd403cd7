/* How slow the tests' programs run: as the compiler says of a sanitizer, or as TARN_TEST_SLOWNESS says of what the compiler does not know of. */
#include "slowness.h"

#include <stddef.h>
#include <stdlib.h>

unsigned long test_number(const char *variable, unsigned long otherwise) {
    const char *text = getenv(variable);
    if (text == NULL || *text == '\0') return otherwise;
    return strtoul(text, NULL, 0);
}

unsigned test_slowness(void) {
#if defined(__SANITIZE_THREAD__)
    return 10;
#elif defined(__SANITIZE_ADDRESS__)
    return 5;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return 10;
#elif __has_feature(address_sanitizer)
    return 5;
#endif
#endif
    return getenv("TARN_TEST_SLOWNESS") != NULL ? (unsigned)test_number("TARN_TEST_SLOWNESS", 1) : 1;
}

bool test_sees_only_races(void) {
#if defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
    return __has_feature(thread_sanitizer);
#else
    return false;
#endif
}
