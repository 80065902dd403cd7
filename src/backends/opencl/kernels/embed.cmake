# Writes a C file with each of FILES as an array of bytes, ended by 0: opencl_source_NAME.
set(text "/* Made by the build. */\n#include \"backends/opencl/opencl_compile.h\"\n")
foreach(file IN LISTS FILES)
    cmake_path(GET file STEM name)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND text "const char opencl_source_${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUT} "${text}")
