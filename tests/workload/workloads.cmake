# The tests call what `tarn run` calls.
foreach(name perceptron runs)
    target_link_libraries(test_workload_${name} PRIVATE tarn_workloads)
endforeach()
