# The pages that `tarn replay --html` and `tarn plan --html` write are kept as readable files and become C arrays here.
set(page_folder ${CMAKE_CURRENT_LIST_DIR}/page)
set(page_files ${page_folder}/page.html ${page_folder}/page.css ${page_folder}/common.js ${page_folder}/data.js
    ${page_folder}/chart.js ${page_folder}/blocks.js ${page_folder}/page.js ${page_folder}/plan.html ${page_folder}/plan_data.js
    ${page_folder}/plan.js)
add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/page_sources.c
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${page_folder} -DOUT=${PROJECT_BINARY_DIR}/page_sources.c -P ${page_folder}/embed.cmake
    DEPENDS ${page_files} ${page_folder}/embed.cmake
    VERBATIM)
target_sources(tarn_tool PRIVATE ${PROJECT_BINARY_DIR}/page_sources.c)
target_include_directories(tarn_tool PRIVATE ${CMAKE_CURRENT_LIST_DIR})
