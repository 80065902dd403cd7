# The lengths that `tarn bench shapes` runs over are kept as a readable list, and become C arrays here.
set(lengths_file ${PROJECT_SOURCE_DIR}/traces/licence-paragraphs.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${lengths_file})
file(STRINGS ${lengths_file} lines REGEX "^[^#]")
set(arrays "")
set(texts "")
set(number 0)
foreach(line IN LISTS lines)
    string(REGEX MATCH "^([^ ]+) (.*)$" line "${line}")
    set(name ${CMAKE_MATCH_1})
    string(REPLACE " " ", " lengths "${CMAKE_MATCH_2}")
    string(APPEND arrays "static const int text_${number}[] = {${lengths}};\n")
    string(APPEND texts "    {\"${name}\", text_${number}, sizeof text_${number} / sizeof text_${number}[0]},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/bench_lengths.c CONTENT
"/* Made from traces/licence-paragraphs.txt by lengths.cmake. */
#include \"bench/lengths.h\"

@arrays@
const bench_text bench_texts[] = {
@texts@};
const size_t bench_text_count = sizeof bench_texts / sizeof bench_texts[0];
" @ONLY)
target_sources(tarn_tool PRIVATE ${PROJECT_BINARY_DIR}/bench_lengths.c)
