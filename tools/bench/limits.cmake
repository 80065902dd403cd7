# The limit of arithmetic is that of multiplications and additions in one instruction, with the sums in registers, in every build.
set_property(SOURCE ${CMAKE_CURRENT_LIST_DIR}/computing_limits.c DIRECTORY ${PROJECT_SOURCE_DIR}
    APPEND PROPERTY COMPILE_OPTIONS -O3 -ffp-contract=fast)
