/* The version of the library that is running. */
#include <tarn/version.h>

const char *tarn_version(void) { return TARN_VERSION_TEXT; }
