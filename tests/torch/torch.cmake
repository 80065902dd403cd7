# The tests are the plug-in's own objects on a library whose internal names they reach, so that host memory can be made to fail.
if(TARGET tarn_torch_parts)
    foreach(name checkpoint figures plugin pool share threads)
        target_link_libraries(test_torch_${name} PRIVATE tarn_torch_parts)
    endforeach()
endif()
