# Enough work for oneDNN on several threads: LeakSanitizer then reads wrong addresses of the variables that the library has in each, and ends
# a program that is in order. Leaks of this one are valgrind's to find.
if(TARN_SANITIZE MATCHES "address")
    set_property(TEST tensor.operation_product APPEND PROPERTY ENVIRONMENT ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1)
endif()
