#!/usr/bin/env python3
"""`tarn record`: a program's allocations become a trace."""
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
from command_line import is_sanitized, RECORDER, tarn, ToolTest  # noqa: E402


class Record(ToolTest):
    def setUp(self):
        super().setUp()
        if not os.path.exists(RECORDER):
            self.skipTest("the recorder is not built")
        if is_sanitized():
            self.skipTest("a sanitizer and a preloaded allocator do not mix")

    def test_the_exit_status_is_the_commands(self):
        self.check(tarn("record", "-o", self.path("x"), "--", "sh", "-c", "exit 7"), 7)
        self.check_refused(tarn("record", "-o", self.path("x"), "--", "no-such-command-here"), 127)
        self.check_refused(tarn("record", "-o", self.path("x"), "--", self.folder), 126)

    def test_what_a_program_allocates_is_in_the_trace(self):
        path = self.path("program.trace")
        program = "b = [bytearray(300000 + i) for i in range(50)]"
        self.check(tarn("record", "--min-size", "256K", "-o", path, "--", sys.executable, "-c", program), 0)
        facts = json.loads(self.check(tarn("inspect", path, "--json"), 0).out)
        self.assertGreaterEqual(facts["event_counts"]["allocate"], 50)
        self.assertGreaterEqual(facts["peak"]["live_bytes"], 50 * 300000)
        self.results(path)

    def test_the_trace_is_called_tarn_trace_by_default(self):
        self.check(tarn("record", "ls", folder=self.folder), 0)
        self.assertIn("tarn.trace", os.listdir(self.folder))


if __name__ == "__main__":
    unittest.main()
