# The Python package, on the shared library that was built. A sanitized library cannot be loaded into a plain interpreter.
find_program(PYTHON3 python3)
if(PYTHON3 AND NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    # Each: a name, what it needs, and the files.
    set(python_tests
        "package|none|test_package.py"
        "torch|none|test_torch.py"
        "torch_tensors|none|test_torch_tensors.py"
        "exchange|numpy|test_exchange.py"
        "newest|newest|test_exchange.py"
        "operations|numpy,hypothesis|test_operations.py"
        "networks|numpy,hypothesis|test_networks.py")
    if(TARGET tarn_torch)
        set(torch_library TARN_TORCH_LIBRARY=$<TARGET_FILE:tarn_torch>
            TARN_FAKE_DRIVER=${PROJECT_BINARY_DIR}/tests/fakecuda TARN_FAKE_RUNTIME=${PROJECT_BINARY_DIR}/tests/torch-runtime)
    else()
        list(FILTER python_tests EXCLUDE REGEX "^torch")
    endif()
    foreach(line IN LISTS python_tests)
        string(REPLACE "|" ";" line "${line}")
        list(POP_FRONT line name modules)
        add_test(NAME python.${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/python/run.sh ${modules} ${line})
        tarn_test_properties(python.${name})
        set_tests_properties(python.${name} PROPERTIES SKIP_RETURN_CODE 77
            ENVIRONMENT "${TARN_TEST_ENVIRONMENT};TARN_LIBRARY=$<TARGET_FILE:tarn>;${torch_library}")
    endforeach()
endif()
