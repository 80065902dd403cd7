#!/usr/bin/env python3
"""What `tarn bench` prints, not how fast anything is.

TARN_TOOL names the command. Uses nothing but Python's standard library.
"""
import json
import os
import shutil
import subprocess
import sys
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.dont_write_bytecode = True
import command_line  # noqa: E402

CONTENDERS = {"Tarn, 1 thread", "Tarn", "NumPy", "PyTorch, 1 thread", "PyTorch"}
# What `ops` and `expr` measure, and what of it is Tarn's alone.
TARN_ALONE = {"layer_norm", "gather", "max_pool2d", "expr_gate_once", "expr_build", "expr_prepare", "expr_eager", "expr_run", "expr_launch", "expr_batch"}
WORK = ["add", "add_row", "exp", "tanh", "sum", "sum_rows", "sum_columns", "softmax", "matmul", "matmul_batch", "conv2d_3", "conv2d_1",
        "expr_relu", "expr_chain", "expr_squares", "expr_error", "expr_softmax", "expr_gate", "expr_linear", "expr_eval", *sorted(TARN_ALONE)]


class Bench(command_line.ToolTest):
    def run_one(self, name, *arguments):
        benchmarks = json.loads(self.check(command_line.tarn("bench", name, "-qq", "--json", *arguments), 0).out)["benchmarks"]
        self.assertEqual([benchmark["benchmark"] for benchmark in benchmarks], [name])
        return benchmarks[0]

    def test_alloc_compares_the_same_peers_in_each_pattern(self):
        if command_line.is_sanitized():
            self.skipTest("a sanitizer and a preloaded allocator do not mix")
        result = self.run_one("alloc")
        peers = {"glibc", "mimalloc", "jemalloc", "tcmalloc", "caching", "direct"} - set(result["absent"])
        self.assertTrue({"glibc", "caching", "direct"} <= peers, result["absent"])
        self.assertGreaterEqual(len(result["patterns"]), 10)
        for pattern in result["patterns"]:
            with self.subTest(pattern=pattern["pattern"]):
                self.assertEqual(set(pattern), {"pattern", "ns", "caching_times_peer", "target", "value", "met"})
                self.assertEqual(set(pattern["ns"]), peers)
                self.assertEqual(set(pattern["caching_times_peer"]), peers - {"caching", "direct"})
                for peer, ratio in pattern["caching_times_peer"].items():
                    self.assertAlmostEqual(ratio * pattern["ns"][peer], pattern["ns"]["caching"], places=3)
                self.assertEqual(pattern["met"] is None, pattern["value"] is None)

    def test_a_device_is_held_against_the_cpu_and_its_own_copy(self):
        result = self.run_one("alloc", "--device", "cpu")
        self.assertEqual((result["device"], result["rounds"]), ("cpu", 1))
        self.assertGreaterEqual(len(result["patterns"]), 8)
        for pattern in result["patterns"]:
            self.assertEqual(set(pattern), {"pattern", "cpu_ns", "ns", "times_cpu", "target", "met"})
            self.assertNotIn("written", pattern["pattern"])
            self.assertAlmostEqual(pattern["times_cpu"] * pattern["cpu_ns"], pattern["ns"], places=3)
            self.assertEqual((pattern["target"], pattern["met"]), (None, None), "promised of OpenCL alone")
        result = self.run_one("ops", "--device", "cpu", "--largest", "10000")
        self.assertEqual((result["device"], result["elements"]), ("cpu", 10000))
        self.assertEqual({row["work"] for row in result["rows"]},
                         {"add", "add_row", "expr_relu", "exp", "tanh", "sin", "cos", "pow", "sum", "sum_rows", "sum_columns", "softmax",
                          "layer_norm", "gather", "max_pool2d"})
        for row in result["rows"]:
            self.assertEqual(set(row), {"row", "work", "ns", "copy_ns", "gb_per_s", "times_copy", "target", "met"})
            self.assertAlmostEqual(row["times_copy"] * 8 * 10000 / row["copy_ns"], row["gb_per_s"], places=6)
        both = self.check(command_line.tarn("bench", "-qq", "--device", "cpu"), 0).out
        self.assertIn("against the copy", both)
        self.assertIn("against cpu", both)
        self.assertIn("there is no backend", self.check(command_line.tarn("bench", "ops", "--device", "nowhere"), 2).err)
        self.assertIn("'plan' does not", self.check(command_line.tarn("bench", "plan", "--device", "cpu"), 1).err)
        self.check(command_line.tarn("bench", "ops", "--device", "cpu", "--svg", self.path("plots")), 1)

    def test_an_unknown_name_is_bad_input(self):
        self.check_refused(command_line.tarn("bench", "plan", "nonsense"), 2)

    def test_stacks_compares_the_stacks_that_are_named(self):
        specs = ["caching", "limit:1GiB | caching", "pytorch", "track | caching"]
        result = self.run_one("stacks", *[argument for spec in specs for argument in ("--allocator", spec)])
        self.assertEqual([stack["allocator"] for stack in result["allocators"]], specs)
        first = result["allocators"][0]["ns"]["training step, written"]
        for stack in result["allocators"]:
            self.assertEqual(set(stack), {"allocator", "ns", "written_step_against_first", "target", "met"})
            judged = stack["allocator"] == "track | caching"
            self.assertEqual(stack["target"], 1.05 if judged else None)
            self.assertEqual(stack["met"], stack["written_step_against_first"] <= 1.05 if judged else None)
            self.assertAlmostEqual(stack["written_step_against_first"] * first, stack["ns"]["training step, written"], places=3)
        self.assertIn("nonsense", self.check(command_line.tarn("bench", "stacks", "-qq", "--allocator", "nonsense"), 2).err)

    def test_replay_measures_each_trace_of_the_folder(self):
        result = self.run_one("replay", "--data", self.folder)
        self.assertEqual([row["file"] for row in result["results"]], [self.snapshot])
        row = result["results"][0]
        self.assertEqual(set(row), {"file", "events", "recorded_utilization", "utilization", "failed_allocations", "event_ns",
                                    "allocate_p50_ns", "free_p50_ns", "target", "met"})
        self.assertEqual(row["met"], row["utilization"] >= row["target"])
        self.assertEqual(self.check(command_line.tarn("bench", "replay", "--data", self.path("nowhere")), 2).out, "")

    def test_record_compares_with_a_plain_run(self):
        if command_line.is_sanitized() or not os.path.exists(command_line.RECORDER):
            self.skipTest("needs a recorder that is not sanitized")
        result = self.run_one("record")
        if result["results"] is None:
            self.skipTest("python3 with NumPy does not run here")
        self.assertEqual([row["run"] for row in result["results"]],
                         ["plain", "recorded, every block", "recorded, from 64 KiB"])
        for row in result["results"]:
            self.assertEqual(set(row), {"run", "seconds", "times_plain", "target", "met"})
            self.assertAlmostEqual(row["seconds"], row["times_plain"] * result["results"][0]["seconds"], places=6)

    def test_shapes_compares_the_same_uses(self):
        rows = self.run_one("shapes")["results"]
        fixed = next(row for row in rows if row["padding"] == "fixed 1.2")
        for row in rows:
            with self.subTest(padding=row["padding"]):
                self.assertEqual(set(row), {"padding", "utilization", "uses", "wasted_bytes", "moves", "moved_bytes",
                                            "in_place_growths", "in_place_shrinks", "resize_ns", "met"})
                self.assertEqual(row["uses"], fixed["uses"])
                if "in place" in row["padding"]:
                    self.assertEqual((row["moves"], row["moved_bytes"]), (0, 0))
                else:
                    self.assertEqual(row["in_place_growths"], 0)
                better = row["wasted_bytes"] < fixed["wasted_bytes"] and row["moves"] <= fixed["moves"]
                if row["met"] is not None:
                    self.assertEqual(row["met"], better)

    def test_plan_measures_the_problems_of_a_folder_and_generated_ones(self):
        with open(self.path("five.12.csv"), "w") as file:
            file.write("id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n")
        rows = self.run_one("plan", "--data", self.folder)["results"]
        five, snapshot, *generated = rows
        self.assertEqual([row["problem"] for row in (five, snapshot)], ["five.12.csv", "job.pickle"])
        self.assertEqual((five["capacity"], five["height"], five["optimal"], five["target_ratio"]), (12, 12, True, None))
        self.assertEqual((snapshot["capacity"], snapshot["target_ratio"]), (None, 1.001))
        self.assertGreaterEqual(len(generated), 3)
        for row in rows:
            with self.subTest(problem=row["problem"]):
                self.assertEqual(set(row), {"problem", "buffers", "lower_bound", "capacity", "first", "height", "ratio", "optimal", "found_seconds",
                                            "reference_times_nominal", "target_ratio", "target_seconds", "reached_seconds", "met"})
                self.assertEqual(set(row["first"]), {"height", "efficiency", "seconds", "met"})
                self.assertLessEqual(row["height"], row["first"]["height"])
                self.assertGreaterEqual(row["height"], row["lower_bound"])
                self.assertAlmostEqual(row["ratio"], row["height"] / row["lower_bound"], places=6)
                self.assertEqual(row["met"] is None, row["target_seconds"] is None)
        self.assertEqual(self.check(command_line.tarn("bench", "plan", "--data", self.path("nowhere")), 2).out, "")

    def test_graphs_shows_what_planning_a_capture_saves(self):
        with open(self.path("holes.csv"), "w") as file:
            file.write("id,lower,upper,size\na,0,2,2097152\nb,1,4,1048576\nc,3,6,3145728\nd,5,7,1048576\n")
        rows = self.run_one("graphs", "--data", self.folder)["results"]
        holes, snapshot, *generated = rows
        self.assertEqual([row["work"] for row in (holes, snapshot)], ["holes.csv", "job.pickle"])
        self.assertEqual((holes["requests"], holes["lower_bound"], holes["planned_bytes"]), (4, 4 << 20, 4 << 20))
        self.assertGreater(holes["first_bytes"], holes["planned_bytes"])
        self.assertGreaterEqual(len(generated), 3)
        for row in rows:
            with self.subTest(work=row["work"]):
                self.assertEqual(set(row), {"work", "requests", "lower_bound", "first_bytes", "first_ratio", "planned_bytes", "planned_ratio",
                                            "deviations", "met"})
                self.assertGreaterEqual(row["planned_bytes"], row["lower_bound"])
                self.assertTrue(row["met"])
        self.assertEqual(self.check(command_line.tarn("bench", "graphs", "--data", self.path("nowhere")), 2).out, "")

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), 0o755)

    def small_environment(self):
        """Python finds no PyTorch, which takes long to load; LeakSanitizer no oneDNN, of whose threads' variables it reads wrong addresses."""
        self.write("torch.py", "raise ImportError\n")
        return unittest.mock.patch.dict(os.environ, PYTHONPATH=self.folder, TARN_ONEDNN="off" if command_line.is_sanitized() else "on")

    def test_each_work_is_measured_in_a_process_of_its_own(self):
        with self.small_environment():
            out = self.check(command_line.tarn("bench", "--measure-work", " ".join(f"{name}:1000:1:1" for name in WORK)), 0).out
        self.assertEqual(len([float(line) for line in out.splitlines()]), len(WORK))
        for wrong in ("add:0:1:1", "add:1000:1", "nothing:1000:1:1", "add:1000:1:1 x", ""):
            with self.subTest(work=wrong):
                self.check(command_line.tarn("bench", f"--measure-work={wrong}"), 1)

    def test_the_peers_know_the_work(self):
        script = os.path.join(os.environ["TARN_SOURCE_DIR"], "tools", "bench", "peers", "computing.py")
        for library in ("numpy", "torch"):
            with self.subTest(library=library):
                points = " ".join(f"{name}:5000:1:1" for name in WORK)
                peer = subprocess.run(["/usr/bin/python3", script, library, "1", points], capture_output=True, text=True, check=False)
                if peer.returncode == 77:
                    continue
                self.assertEqual(peer.returncode, 0, peer.stderr)
                unknown = {name for name, line in zip(WORK, peer.stdout.splitlines(), strict=True) if line == "-"}
                self.assertEqual(unknown, {name for name in WORK if name in TARN_ALONE or library == "numpy" and "conv" in name})

    def check_suite(self, suite, name, folder):
        self.assertEqual(suite["benchmark"], name)
        self.assertEqual(suite["elements"], 1000)
        self.assertEqual(set(suite["limits"]), {"pass_gb_per_second", "read_gb_per_second", "gflop_per_second"})
        for row in suite["results"]:
            with self.subTest(row=row["row"]):
                self.assertEqual(set(row), {"row", "work", "elements", "ns", "limit", "limit_ns", "against", "times_as_fast", "target", "met"})
                self.assertEqual(set(row["ns"]), CONTENDERS)
                self.assertGreater(min(row["ns"]["Tarn"], row["ns"]["Tarn, 1 thread"]), 0)
                self.assertIsNone(row["ns"]["PyTorch"])
                if row["against"] in ("memory", "arithmetic"):
                    best = min(row["ns"]["Tarn"], row["ns"]["Tarn, 1 thread"])
                    self.assertAlmostEqual(row["times_as_fast"] * best, row["limit_ns"], places=3)
                if row["target"] is not None and row["times_as_fast"] is not None:
                    self.assertEqual(row["met"], row["times_as_fast"] >= row["target"])
        for plot in suite["plots"]:
            self.assertEqual(plot["file"], os.path.join(folder, plot["family"] + ".svg"))
            tree = xml.etree.ElementTree.parse(plot["file"])
            self.assertEqual(tree.getroot().tag, "{http://www.w3.org/2000/svg}svg")
            text = " ".join(tree.getroot().itertext())
            self.assertIn(plot["panels"][0]["unit"], text)
            for panel in plot["panels"]:
                self.assertEqual(set(panel), {"work", "title", "unit", "limit", "points"})
                for point in panel["points"]:
                    self.assertEqual((set(point), set(point["ns"])), ({"elements", "amount", "ns"}, CONTENDERS))

    def test_ops_and_expr_measure_over_sizes_and_draw_what_they_measure(self):
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not installed")
        folder = self.path("plots")
        with self.small_environment():
            result = self.check(command_line.tarn("bench", "ops", "expr", "-qq", "--json", "--svg", folder), 0)
        ops, expr = json.loads(result.out)["benchmarks"]
        self.check_suite(ops, "ops", folder)
        self.check_suite(expr, "expr", folder)
        self.assertEqual([plot["family"] for plot in ops["plots"]], ["elementwise", "reductions", "products", "convolution"])
        self.assertEqual([plot["family"] for plot in expr["plots"]], ["expressions"])
        self.assertEqual([point["elements"] for point in ops["plots"][0]["panels"][0]["points"]], [1000])
        memory = expr["memory"]
        self.assertEqual([row["allocator"] for row in memory["allocators"]], ["arena", "pool", "caching"])
        self.assertLessEqual(memory["lower_bound"], memory["intermediate_bytes"])
        self.assertLess(memory["intermediate_bytes"], memory["separate_bytes"])
        self.assertLess(memory["separate_bytes"], memory["unfused_bytes"])
        for row in memory["allocators"]:
            self.assertGreaterEqual(row["expression_bytes"], memory["intermediate_bytes"] + memory["result_bytes"])
            self.assertTrue(row["met"])

    def test_plots_that_cannot_be_drawn_are_refused_before_anything_is_measured(self):
        with unittest.mock.patch.dict(os.environ, PATH=self.path("nowhere")):
            result = command_line.tarn("bench", "ops", "--svg", self.folder)
        self.check_refused(result, 2)
        self.assertIn("gnuplot-nox", result.err)
        self.write("gnuplot", "#!/bin/sh\n[ \"$1\" = --version ]\n")
        with unittest.mock.patch.dict(os.environ, PATH=self.folder):
            for folder in (self.snapshot, os.path.join(self.snapshot, "plots"), self.path("no/such")):
                with self.subTest(folder=folder):
                    result = command_line.tarn("bench", "expr", "--svg", folder)
                    self.check_refused(result, 2)
                    self.assertIn(folder, result.err)
            self.check(command_line.tarn("bench", "plan", "--svg", self.folder), 1)
        self.check(command_line.tarn("bench", "ops", "--largest", "999"), 1)

    def test_a_plot_that_gnuplot_does_not_draw_leaves_no_file(self):
        self.write("gnuplot", "#!/bin/sh\n[ \"$1\" = --version ] || { echo half; exit 1; }\n")
        with self.small_environment(), unittest.mock.patch.dict(os.environ, PATH=self.folder):
            result = command_line.tarn("bench", "expr", "-qq", "--json", "--svg", self.path("plots"))
        self.assertIn("expressions.svg", self.check(result, 2).err)
        self.assertEqual((result.out, os.listdir(self.path("plots"))), ("", []))


if __name__ == "__main__":
    unittest.main()
