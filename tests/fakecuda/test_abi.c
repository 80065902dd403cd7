/* Our declarations of the driver's interface beside the vendor's, where its header is installed. */
#include "abi/abi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void declarations_are_those_of_the_vendor(void **state) {
    (void)state;
    if (abi_vendor_count == 0) {
        print_message("there is no cuda.h here to compare with\n");
        skip();
    }
    assert_int_equal(abi_own_count, abi_vendor_count);
    for (size_t i = 0; i < abi_own_count; i++) {
        assert_string_equal(abi_own[i].name, abi_vendor[i].name);
        if (abi_own[i].value == abi_vendor[i].value) continue;
        print_error("%s is %lld, and %lld in cuda.h\n", abi_own[i].name, abi_own[i].value, abi_vendor[i].value);
        fail();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(declarations_are_those_of_the_vendor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
