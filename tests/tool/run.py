#!/usr/bin/env python3
"""`tarn run`: what a workload computes, and what it says of its memory."""
import json
import sys
import unittest

sys.dont_write_bytecode = True
from command_line import tarn, ToolTest  # noqa: E402


class Run(ToolTest):
    """What a workload computes does not depend on where its memory comes from."""

    def run_json(self, *arguments):
        return json.loads(self.check(tarn("run", *arguments, "--json"), 0).out)

    def test_list_names_workloads_that_run(self):
        workloads = self.run_json("list")["workloads"]
        self.assertEqual([w["name"] for w in workloads], ["training", "transformer", "convolution", "expressions"])
        out = self.check(tarn("run", "list"), 0).out
        for workload in workloads:
            self.assertIn(workload["summary"], out)
            result = self.run_json(workload["name"], "--steps", "2")
            self.assertEqual(len(result["figures"]), 2)
            self.assertEqual(result["allocator"], workload["allocator"])
            self.assertGreater(result["memory"]["peak_live_bytes"], 0)
            self.assertGreater(result["items_per_second"], 0)

    def test_seed_and_graph_and_allocator(self):
        wanted = self.run_json("training", "--steps", "5")
        self.assertEqual(self.run_json("training", "--steps", "5", "--graph")["figures"], wanted["figures"])
        self.assertEqual(self.run_json("training", "--steps", "5", "-a", "planned")["figures"], wanted["figures"])
        self.assertNotEqual(self.run_json("training", "--steps", "5", "--seed", "2")["figures"], wanted["figures"])
        out = self.check(tarn("run", "training", "--steps", "5"), 0).out
        for part in ("loss", "accuracy", "samples a second", "peak reserved"):
            self.assertIn(part, out)

    def test_record_is_a_trace(self):
        path = self.path('a "run".tarn')
        result = self.run_json("transformer", "--steps", "3", "--record", path)
        trace = self.results(path, "-a", "caching")[0]
        self.assertEqual(trace["allocations"], result["memory"]["allocations"])

    def test_a_bar_shows_on_a_terminal_alone(self):
        out, shown = self.on_a_terminal("run", "convolution", "--steps", "3", "--json")
        self.assertIn("100 %  convolution, cpu", shown)
        self.assertEqual(json.loads(out)["steps"], 3)
        self.assertEqual(tarn("run", "convolution", "--steps", "1").err, "")

    def test_refusals(self):
        for arguments, code, sentence in ((["nothing"], 2, "no workload is called 'nothing'"),
                                          (["training", "-d", "nowhere"], 2, "nowhere"),
                                          (["training", "-a", "nonsense"], 2, "nonsense"),
                                          (["training", "-d", "sim:1GiB"], 2, "sim:1GiB"),
                                          (["training", "-a", "limit:300K | caching"], 3, "limit"),
                                          (["training", "-n", "1", "--record", "/nowhere/x"], 2, "/nowhere/x")):
            result = self.check(tarn("run", *arguments), code)
            self.assertIn(sentence, result.err)


if __name__ == "__main__":
    unittest.main()
