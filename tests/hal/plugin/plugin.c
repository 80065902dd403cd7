/* Backends in shared objects for the tests of loading, one whole and the others each with one fault: the build
 * defines which one this is. */
#include "../scripted.h"

#include <string.h>

#if defined(PLUGIN_WITHOUT_TABLE)

int plugin_answer(void);
int plugin_answer(void) { return 42; }

#else

/* The table is a constant of the shared object; the scripted one's is made at run time, so it is put together when it is loaded. */
extern tarn_backend tarn_backend_table;
TARN_API tarn_backend tarn_backend_table;

#if defined(PLUGIN_UNRESOLVED)
int a_function_that_no_library_has(void);
#endif

static void __attribute__((constructor)) put_together(void) {
    scripted_reset();
    tarn_backend_table = scripted_table(PLUGIN_NAME);
#if defined(PLUGIN_WRONG_VERSION)
    tarn_backend_table.abi_version = 999;
#elif defined(PLUGIN_WITHOUT_FUNCTION)
    tarn_backend_table.stream_wait = NULL;
#elif defined(PLUGIN_TOO_SHORT)
    tarn_backend_table.struct_size = 8;
#elif defined(PLUGIN_UNRESOLVED)
    if (a_function_that_no_library_has()) tarn_backend_table.name = "other";
#endif
}

#endif
