# The test of interrupted reading and writing stands between the library and the system.
target_link_options(test_trace_interrupts PRIVATE -Wl,--wrap=read,--wrap=write)
