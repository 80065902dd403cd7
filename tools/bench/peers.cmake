# The program that measures NumPy and PyTorch becomes a text in the tool.
set(script_file ${CMAKE_CURRENT_LIST_DIR}/peers/computing.py)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${script_file})
file(READ ${script_file} script_hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," script_bytes "${script_hex}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/bench_computing_script.c CONTENT
"/* Made from tools/bench/peers/computing.py by peers.cmake. */
#include \"bench/computing.h\"

const char computing_script[] = {@script_bytes@ 0};
" @ONLY)
target_sources(tarn_tool PRIVATE ${PROJECT_BINARY_DIR}/bench_computing_script.c)
