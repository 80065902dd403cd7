# Fuzz targets: tests/fuzz/fuzz_<name>.c is one libFuzzer program, its seeds lie in tests/fuzz/corpus/<name>/.
if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "libFuzzer needs clang")
endif()

file(GLOB programs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
file(GLOB helpers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.c)
list(FILTER helpers EXCLUDE REGEX "/fuzz_[^/]*\\.c$")
foreach(program IN LISTS programs)
    cmake_path(GET program STEM name)
    add_executable(${name} ${program} ${helpers})
    target_link_libraries(${name} PRIVATE tarn_testing)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()
