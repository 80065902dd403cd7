#!/usr/bin/env python3
"""`tarn convert`: a trace means the same in each format."""
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
from command_line import tarn, ToolTest  # noqa: E402


class Convert(ToolTest):
    def test_a_trace_means_the_same_in_each_format(self):
        first = self.results(self.snapshot, "--allocator", "direct")[0]
        for name in ("job.tarn", "job.csv"):
            with self.subTest(name=name):
                self.check(tarn("convert", self.snapshot, self.path(name)), 0)
                again = self.results(self.path(name), "--allocator", "direct")[0]
                for key in ("allocations", "frees", "peak_live_bytes", "peak_reserved_bytes"):
                    self.assertEqual(first[key], again[key])

    def test_perfetto_is_json(self):
        self.check(tarn("convert", self.snapshot, self.path("out"), "--to", "perfetto"), 0)
        with open(self.path("out")) as file:
            self.assertIn("traceEvents", json.load(file))

    def test_a_format_or_place_that_is_wrong_exits_with_2(self):
        for arguments in ([self.path("out.nonsense")], [self.path("out"), "--to", "nonsense"], [self.folder, "--to", "tarn"],
                          [self.path("missing/out.tarn")]):
            with self.subTest(arguments=arguments):
                self.check_refused(tarn("convert", self.snapshot, *arguments), 2)
        self.assertEqual(os.listdir(self.folder), ["job.pickle"])


if __name__ == "__main__":
    unittest.main()
