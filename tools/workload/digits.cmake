# The data that workloads learn from becomes a C array in the tool.
set(TARN_DIGITS_SOURCE ${PROJECT_BINARY_DIR}/digits_data.c)
add_custom_command(
    OUTPUT ${TARN_DIGITS_SOURCE}
    COMMAND ${CMAKE_COMMAND} -DFILE=${CMAKE_CURRENT_LIST_DIR}/data/digits.npy -DOUT=${TARN_DIGITS_SOURCE} -P ${CMAKE_CURRENT_LIST_DIR}/data/embed.cmake
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/data/digits.npy ${CMAKE_CURRENT_LIST_DIR}/data/embed.cmake
    VERBATIM)
target_sources(tarn_workloads PRIVATE ${TARN_DIGITS_SOURCE})
