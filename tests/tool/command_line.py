#!/usr/bin/env python3
"""The tarn command from outside: every subcommand, its exit codes, its JSON, and input that must be refused.

TARN_TOOL names the command. Uses nothing but Python's standard library.
"""
import csv
import json
import os
import pickle
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.dont_write_bytecode = True
import traces  # noqa: E402

TOOL = os.environ.get("TARN_TOOL", "tarn")
RECORDER = os.environ.get("TARN_RECORDER", "")
SHARED = os.environ.get("TARN_SHARED_DATA", "")
LATENCY = ["mean", "p50", "p99", "max"]
RESULT_KEYS = ["file", "device", "allocator", "events", "allocations", "frees", "peak_live_bytes", "peak_reserved_bytes", "utilization",
               "final_reserved_bytes", "recorded_peak_reserved_bytes", "driver_allocs", "driver_frees", "driver_maps", "driver_unmaps",
               "device_waits", "device_wait_ns", "failed_allocations", "allocate_ns", "free_ns"]


def is_sanitized():
    with open(TOOL, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class Result:
    pass


def tarn(*arguments, folder=None, stdout=subprocess.PIPE):
    """Runs the tool; the result has code, out, err and rss, the most memory it had, in bytes."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([TOOL, *arguments], stdout=stdout, stderr=errors, cwd=folder)
        out = process.stdout.read() if process.stdout else b""
        if process.stdout:
            process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        result = Result()
        result.code, result.out, result.err = process.returncode, out.decode(), errors.read().decode()
        result.rss = usage.ru_maxrss * 1024
        return result


class ToolTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tarn-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.snapshot = self.path("job.pickle")
        self.peak = traces.write_snapshot(self.snapshot)

    def path(self, name):
        return os.path.join(self.folder, name)

    def open_terminal(self):
        """Both ends of a terminal; skips the test where the system has none, as in a container without /dev/pts."""
        try:
            return pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal can be opened here: {error}")

    def check(self, result, code):
        self.assertEqual(result.code, code, result.err + result.out)
        return result

    def check_refused(self, result, code):
        """One sentence on stderr, nothing on stdout."""
        self.check(result, code)
        self.assertEqual(result.out, "")
        self.assertRegex(result.err, r"\Atarn[^\n]*: [^\n]+\n\Z")

    def results(self, *arguments, code=0):
        return json.loads(self.check(tarn("replay", "--json", *arguments), code).out)["results"]


class Usage(ToolTest):
    def test_wrong_usage_exits_with_1(self):
        for arguments in ([], ["nonsense"], ["plan"], ["run"], ["run", "training", "x"], ["run", "training", "--steps", "0"], ["run", "convolution", "--graph"], ["--nonsense"], ["replay"], ["replay", "--repeat", "0", "x"], ["inspect"],
                          ["inspect", "a", "b"], ["convert", "a"], ["record"], ["devices", "--nonsense"], ["record", "--min-size", "x", "ls"], ["plan", "a", "b"],
                          ["plan", "a", "--timeout", "-1"], ["plan", "a", "--timeout", "nan"], ["plan", "a", "--capacity", "x"],
                          ["plan", "a", "--alignment", "0"], ["plan", "a", "--threads", "0"]):
            with self.subTest(arguments=arguments):
                result = self.check(tarn(*arguments), 1)
                self.assertEqual(result.out, "")
                self.assertTrue(result.err.startswith("tarn"))

    def test_help_at_every_level_has_an_example(self):
        listed = self.check(tarn("--help"), 0).out
        self.assertIn("For example", listed)
        commands = [line.split()[0] for line in listed.split("Commands:")[1].split("`tarn")[0].splitlines() if line.strip()]
        self.assertLessEqual({"devices", "run", "replay", "inspect", "plan", "convert", "record"}, set(commands))
        for command in commands:
            with self.subTest(command=command):
                self.assertRegex(self.check(tarn(command, "--help"), 0).out, "(?i)example")

    def test_version_is_printed(self):
        self.assertRegex(self.check(tarn("--version"), 0).out, r"\Atarn \d+\.\d+\.\d+\n\Z")

    def test_output_that_cannot_be_written_is_not_success(self):
        with open("/dev/full", "w") as full:
            result = tarn("replay", self.snapshot, stdout=full)
        self.assertNotEqual(result.code, 0)
        self.assertIn("standard output", result.err)
        read, write = os.pipe()
        os.close(read)
        result = tarn("devices", "--json", stdout=write)
        os.close(write)
        self.assertGreater(result.code, 0)
        self.assertIn("standard output", result.err)


class Devices(ToolTest):
    def test_every_backend_is_listed(self):
        text = self.check(tarn("devices"), 0).out
        self.assertIn("cpu", text)
        self.assertIn("sim", text)
        backends = json.loads(self.check(tarn("devices", "--json"), 0).out)["backends"]
        cpu = next(backend for backend in backends if backend["backend"] == "cpu")
        self.assertTrue(cpu["available"])
        self.assertGreater(cpu["devices"][0]["memory_total_bytes"], 1 << 20)
        self.assertIn("host-access", cpu["devices"][0]["features"])
        for backend in backends:
            self.assertEqual(backend["available"], backend["reason"] == "")

    def test_a_machine_without_a_driver_lists_cuda_with_the_reason(self):
        with unittest.mock.patch.dict(os.environ, {"TARN_CUDA_DRIVER": "libno-such-driver.so.1"}):
            text = self.check(tarn("devices"), 0).out
            backends = json.loads(self.check(tarn("devices", "--json"), 0).out)["backends"]
        line = next(line for line in text.splitlines() if line.split()[0] == "cuda")
        self.assertIn("unavailable: the NVIDIA driver cannot be loaded: libno-such-driver.so.1", line)
        cuda = next(backend for backend in backends if backend["backend"] == "cuda")
        self.assertFalse(cuda["available"])
        self.assertEqual(cuda["devices"], [])


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

    def test_refusals(self):
        for arguments, code, sentence in ((["nothing"], 2, "no workload is called 'nothing'"),
                                          (["training", "-d", "nowhere"], 2, "nowhere"),
                                          (["training", "-a", "nonsense"], 2, "nonsense"),
                                          (["training", "-d", "sim:1GiB"], 2, "sim:1GiB"),
                                          (["training", "-a", "limit:300K | caching"], 3, "limit"),
                                          (["training", "-n", "1", "--record", "/nowhere/x"], 2, "/nowhere/x")):
            result = self.check(tarn("run", *arguments), code)
            self.assertIn(sentence, result.err)


class Replay(ToolTest):
    def test_json_has_the_documented_keys(self):
        results = self.results(self.snapshot)
        self.assertEqual([result["allocator"] for result in results], ["direct", "caching", "pytorch:as-recorded"])
        for result in results:
            self.assertEqual(list(result)[:len(RESULT_KEYS)], RESULT_KEYS)
            self.assertEqual(list(result["allocate_ns"]), LATENCY)
            self.assertEqual(list(result["free_ns"]), LATENCY)
            self.assertEqual(result["file"], self.snapshot)
            self.assertTrue(result["device"].startswith("sim:"))
            self.assertEqual(result["peak_live_bytes"], self.peak)
            self.assertEqual(result["failed_allocations"], 0)
            self.assertAlmostEqual(result["utilization"], result["peak_live_bytes"] / result["peak_reserved_bytes"])
            self.assertGreater(result["recorded_peak_reserved_bytes"], self.peak)
            self.assertEqual(result["allocations"], 60)
            self.assertEqual(result["frees"], 20)
            self.assertEqual(result["initial_allocations"], 3)
            self.assertLessEqual(result["allocate_ns"]["p50"], result["allocate_ns"]["p99"])
            self.assertLessEqual(result["allocate_ns"]["p99"], result["allocate_ns"]["max"])

    def test_direct_makes_one_driver_call_for_each(self):
        direct = self.results(self.snapshot, "--allocator", "direct")[0]
        self.assertEqual((direct["driver_allocs"], direct["driver_frees"]), (60, 20))

    def test_pytorch_takes_settings_and_those_of_the_snapshot(self):
        plain, split = self.results(self.snapshot, "--allocator", "pytorch:as-recorded", "--allocator", "pytorch:large_segment_size_mb=64")
        self.assertEqual(plain["allocator"], "pytorch:as-recorded")
        self.assertNotEqual(split["peak_reserved_bytes"], plain["peak_reserved_bytes"])
        path = self.path("set.pickle")
        traces.write_snapshot(path, settings={"PYTORCH_CUDA_ALLOC_CONF": "large_segment_size_mb:64"})
        recorded = self.results(path, "--allocator", "pytorch:as-recorded")[0]
        self.assertEqual(recorded["peak_reserved_bytes"], split["peak_reserved_bytes"])

    def test_a_trace_without_settings_has_none_to_take(self):
        path = self.path("log.csv")
        traces.write_rmm(path)
        self.check_refused(tarn("replay", path, "--allocator", "pytorch:as-recorded"), 2)
        self.assertEqual([result["allocator"] for result in self.results(path)], ["direct", "caching", "pytorch"])

    def test_a_trace_without_reserved_memory_has_null(self):
        path = self.path("log.csv")
        peak = traces.write_rmm(path)
        for result in self.results(path):
            self.assertIsNone(result["recorded_peak_reserved_bytes"])
            self.assertEqual(result["peak_live_bytes"], peak)

    def test_several_files_and_allocators_are_all_compared(self):
        log = self.path("log.csv")
        traces.write_rmm(log)
        results = self.results(self.snapshot, log, "--allocator", "direct", "--allocator", "caching", "--allocator", "direct")
        self.assertEqual([os.path.basename(result["file"]) for result in results], ["job.pickle"] * 3 + ["log.csv"] * 3)

    def test_repeats_add_up(self):
        once, thrice = self.results(self.snapshot, "--allocator", "direct")[0], self.results(self.snapshot, "--allocator", "direct", "--repeat", "3")[0]
        for key in ("events", "allocations", "frees", "driver_allocs", "driver_frees"):
            self.assertEqual(thrice[key], 3 * once[key])
        for key in ("peak_live_bytes", "peak_reserved_bytes", "final_reserved_bytes", "steady_driver_calls"):
            self.assertEqual(thrice[key], once[key])

    def test_the_simulated_device_gets_its_size_where_none_is_given(self):
        for device in ("sim", "sim:lag=10ms", "sim:64GiB,lag=1ms", "sim:alloc=100us,free=50us"):
            with self.subTest(device=device):
                result = self.results(self.snapshot, "--device", device)[0]
                self.assertRegex(result["device"], r"\Asim:\d+")
                self.assertEqual(result["failed_allocations"], 0)

    def test_simulated_latency_counts(self):
        result = self.results(self.snapshot, "--device", "sim:alloc=100us,free=50us", "--allocator", "direct")[0]
        self.assertGreaterEqual(result["allocate_ns"]["p50"], 100_000)
        self.assertGreaterEqual(result["free_ns"]["p50"], 50_000)

    def test_the_processors_memory_is_a_device_too(self):
        result = self.results(self.snapshot, "--device", "cpu")
        self.assertEqual([one["peak_live_bytes"] for one in result], [self.peak] * 3)

    def test_memory_that_does_not_suffice_exits_with_3(self):
        results = self.results(self.snapshot, "--device", "sim:32MiB", code=3)
        for result in results:
            self.assertGreater(result["failed_allocations"], 0)
            self.assertLessEqual(result["peak_reserved_bytes"], 32 << 20)
        self.check(tarn("replay", self.snapshot, "--device", "sim:32MiB"), 3)

    def test_names_and_specs_that_are_wrong_exit_with_2(self):
        for arguments in (["--device", "nonsense"], ["--device", "sim:lag=x"], ["--device", "cpu:7:8"], ["--allocator", "nonsense"],
                          ["--allocator", "caching:nonsense=1"], ["--allocator", ""], ["--trace-device", "9"],
                          ["--html", self.folder], ["--html", self.path("missing/page.html")], ["--perfetto", "/dev/full"], ["--html", "/dev/full"]):
            with self.subTest(arguments=arguments):
                self.check_refused(tarn("replay", self.snapshot, *arguments), 2)

    def test_a_missing_file_is_named(self):
        result = tarn("replay", self.path("missing.pickle"))
        self.check_refused(result, 2)
        self.assertIn("missing.pickle", result.err)

    def test_the_table_begins_with_the_recorded_allocator(self):
        lines = self.check(tarn("replay", self.snapshot), 0).out.splitlines()
        names = [line.split("  ")[1].strip() for line in lines[2:]]
        self.assertEqual(names, ["allocator", "as recorded", "direct", "caching", "pytorch:as-recorded"])

    def test_the_page_stands_alone_and_escapes_what_files_say(self):
        hostile = self.path("</script><img src=x onerror=alert(1)>.pickle".replace("/", "\u2215"))
        traces.write_snapshot(hostile, site="</script><script>alert(1)</script>")
        page = self.path("page.html")
        self.check(tarn("replay", hostile, "--html", page), 0)
        with open(page, encoding="utf8") as file:
            text = file.read()
        self.assertNotIn("<img", text)
        self.assertNotIn("<script>alert", text)
        self.assertNotIn("//", text.split("<style>")[1].split("</style>")[0])
        self.assertNotRegex(text, r"<[^>]*(src|href)\s*=")
        self.assertEqual(os.listdir(self.folder).count("page.html"), 1)
        self.assertFalse([name for name in os.listdir(self.folder) if "page.html" in name and name != "page.html"])

    def test_a_failure_leaves_the_older_page(self):
        page = self.path("page.html")
        with open(page, "w") as file:
            file.write("older")
        self.check(tarn("replay", self.snapshot, "--device", "nonsense", "--html", page), 2)
        with open(page) as file:
            self.assertEqual(file.read(), "older")

    def test_perfetto_gets_a_counter_for_each_allocator(self):
        path = self.path("counters.json")
        self.check(tarn("replay", self.snapshot, "--perfetto", path), 0)
        with open(path) as file:
            events = json.load(file)["traceEvents"]
        names = [event["args"]["name"] for event in events if event["ph"] == "M"]
        for name in ("as recorded", "direct", "caching", "pytorch:as-recorded"):
            self.assertIn(f"job.pickle: {name}", names)
        counters = [event for event in events if event["ph"] == "C"]
        self.assertEqual({event["name"] for event in counters}, {"live", "reserved"})
        self.assertEqual(max(event["args"]["bytes"] for event in counters if event["name"] == "live"), self.peak)
        times = [event["ts"] for event in counters if event["pid"] == counters[-1]["pid"]]
        self.assertEqual(times, sorted(times))

    def test_progress_shows_on_a_terminal_alone(self):
        main, terminal = self.open_terminal()
        process = subprocess.Popen([TOOL, "replay", self.snapshot, "--json"], stdout=subprocess.PIPE, stderr=terminal)
        out = process.stdout.read()
        process.stdout.close()
        process.wait()
        os.close(terminal)
        shown = os.read(main, 1 << 16).decode()
        os.close(main)
        self.assertIn("%", shown)
        json.loads(out)
        self.assertEqual(tarn("replay", self.snapshot).err, "")

    def test_real_snapshots_are_replayed_without_a_failed_allocation(self):
        if not os.path.isdir(os.path.join(SHARED, "pytorch-snapshots")):
            self.skipTest("TARN_SHARED_DATA has no pytorch-snapshots")
        folder = os.path.join(SHARED, "pytorch-snapshots")
        for name in sorted(os.listdir(folder)):
            with self.subTest(name=name):
                for result in self.results(os.path.join(folder, name)):
                    self.assertEqual(result["failed_allocations"], 0)
                    self.assertGreater(result["utilization"], 0.5)


class Inspect(ToolTest):
    def test_peak_and_holders(self):
        facts = json.loads(self.check(tarn("inspect", self.snapshot, "--json"), 0).out)
        self.assertEqual(facts["peak"]["live_bytes"], self.peak)
        self.assertEqual(sum(holder["bytes"] for holder in facts["peak"]["by_site"]), self.peak)
        self.assertTrue(any("forward" in (holder["site"] or "") for holder in facts["peak"]["by_site"]))
        self.assertEqual(facts["event_counts"]["allocate"], 60)
        self.assertEqual(facts["initial_allocations"], 3)
        state = facts["final_state"]
        self.assertEqual(state["reserved_bytes"], state["active_bytes"] + state["pending_bytes"] + state["inactive_bytes"])
        text = self.check(tarn("inspect", self.snapshot), 0).out
        for part in ("peak", "by call site", "Sizes", "Lifetimes", "largest free block"):
            self.assertIn(part, text)

    def test_a_snapshot_without_history_has_a_state(self):
        data, _ = traces.snapshot()
        data["device_traces"] = [[]]
        blocks = data["segments"][0]["blocks"]
        for block in blocks:
            block["user_metadata"] = "weights" if block["size"] > 1 << 20 else ""
        path = self.path("state.pickle")
        with open(path, "wb") as file:
            pickle.dump(data, file)
        facts = json.loads(self.check(tarn("inspect", path, "--json"), 0).out)
        free = [block["size"] for block in blocks if block["state"] == "inactive"]
        held = [block["requested_size"] for block in blocks if block["state"] == "active_allocated"]
        self.assertEqual(facts["events"], 0)
        self.assertEqual(facts["peak"]["live_bytes"], sum(held))
        self.assertEqual({holder["tag"] for holder in facts["peak"]["by_tag"]}, {"weights", None})
        self.assertEqual(facts["final_state"]["largest_free_block_bytes"], max(free))
        self.assertAlmostEqual(facts["final_state"]["fragmentation"], 1 - max(free) / sum(free))
        text = self.check(tarn("inspect", path), 0).out
        self.assertIn("fragmentation", text)
        self.assertNotIn("0 freed", text)
        # Replayed, what is alive is all there is; converted, the state stays.
        result = self.results(path, "--allocator", "direct")[0]
        self.assertEqual((result["events"], result["peak_live_bytes"]), (0, sum(held)))
        for name in ("copy.pickle", "copy.tarn"):
            self.check(tarn("convert", path, self.path(name)), 0)
            again = json.loads(self.check(tarn("inspect", self.path(name), "--json"), 0).out)
            for key in ("peak", "final_state", "initial_allocations", "recorded_peak_reserved_bytes"):
                self.assertEqual(again[key], facts[key], (name, key))

    def test_top_limits_the_holders(self):
        facts = json.loads(self.check(tarn("inspect", self.snapshot, "--json", "--top", "1"), 0).out)
        self.assertEqual(len(facts["peak"]["by_site"]), 1)

    def test_a_hostile_text_does_not_steer_the_terminal(self):
        path = self.path("hostile.pickle")
        traces.write_snapshot(path, site="\x1b[31mred\n")
        self.assertNotIn("\x1b", self.check(tarn("inspect", path), 0).out)


PLAN_KEYS = ["file", "buffers", "lower_bound", "capacity", "height", "optimal", "seconds", "feasible"]


class Plan(ToolTest):
    # Five buffers of 4 bytes, three of them alive at once: the example in MiniMalloc's own documentation.
    EXAMPLE = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n"

    def put(self, text, name="problem.csv"):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def plan(self, path, *arguments, code=0):
        return json.loads(self.check(tarn("plan", path, "--json", *arguments), code).out)

    def check_plan(self, path, height):
        """The rows of a written plan, which must not overlap in time and space."""
        with open(path, newline="") as file:
            rows = [{key: value if key in ("id", "gaps") else int(value) for key, value in row.items()} for row in csv.DictReader(file)]
        for i, a in enumerate(rows):
            self.assertLessEqual(a["offset"] + a["size"], height)
            self.assertEqual(a["offset"] % a.get("alignment", 1), 0)
            for b in rows[:i]:
                together = a["lower"] < b["upper"] and b["lower"] < a["upper"] and a.get("region") == b.get("region")
                self.assertFalse(together and a["offset"] < b["offset"] + b["size"] and b["offset"] < a["offset"] + a["size"], (a, b))
        return rows

    def test_json_has_the_documented_keys(self):
        path = self.put(self.EXAMPLE)
        result = self.plan(path)
        self.assertEqual(list(result), PLAN_KEYS)
        seconds = result.pop("seconds")
        self.assertLess(seconds, 60)
        self.assertEqual(result, {"file": path, "buffers": 5, "lower_bound": 12, "capacity": None, "height": 12, "optimal": True, "feasible": True})
        self.assertEqual(self.plan(path, "--capacity", "1K")["capacity"], 1024)

    def test_the_columns_of_minimalloc_go_out_with_an_offset(self):
        out = self.path("out.csv")
        self.plan(self.put(self.EXAMPLE), "-o", out)
        with open(out) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0], "id,lower,upper,size,offset")
        self.assertEqual([line.rsplit(",", 1)[0] for line in lines], self.EXAMPLE.splitlines())
        self.check_plan(out, 12)
        # A plan is a problem too, whose offsets are fixed.
        again = self.plan(out, "-o", self.path("again.csv"))
        self.assertEqual((again["height"], again["optimal"]), (12, True))
        with open(self.path("again.csv")) as file:
            self.assertEqual(file.read().splitlines(), lines)

    def test_what_does_not_fit_exits_with_3_and_is_shown_all_the_same(self):
        path, out = self.put(self.EXAMPLE), self.path("out.csv")
        result = tarn("plan", path, "--capacity", "11", "--json", "-o", out)
        self.check(result, 3)
        facts = json.loads(result.out)
        self.assertEqual((facts["feasible"], facts["capacity"], facts["height"]), (False, 11, 12))
        self.assertRegex(result.err, r"\Atarn plan: [^\n]*problem.csv: no plan that fits 11 B [^\n]+\n\Z")
        self.check_plan(out, 12)

    def test_a_timeout_of_zero_takes_the_first_plan(self):
        self.assertEqual(self.plan(self.put(self.EXAMPLE), "--timeout", "0")["height"], 12)

    def test_gaps_alignments_and_fixed_offsets_are_kept(self):
        out = self.path("out.csv")
        path = self.put("id,lower,upper,size,alignment,gaps,offset\na,0,10,6,1,2-8,0\nb,3,7,6,4,,\nc,0,10,1,1,,20\n")
        result = self.plan(path, "-o", out)
        self.assertEqual((result["height"], result["lower_bound"] <= 21, result["feasible"]), (21, True, True))
        with open(out) as file:
            rows = file.read().splitlines()
        self.assertEqual(rows[0], "id,lower,upper,size,alignment,gaps,offset")
        self.assertEqual(rows[1], "a,0,10,6,1,2-8,0")
        self.assertEqual(rows[3], "c,0,10,1,1,,20")

    def test_sizes_of_zero_are_taken(self):
        out = self.path("out.csv")
        self.assertEqual(self.plan(self.put("id,lower,upper,size\na,0,1,0\nb,0,1,5\n"), "-o", out)["height"], 5)
        self.assertEqual(self.plan(self.put("id,lower,upper,size\n"))["height"], 0)

    def test_a_trace_is_planned_with_its_requested_sizes(self):
        out = self.path("out.csv")
        result = self.plan(self.snapshot, "--alignment", "1", "-o", out)
        self.assertEqual((result["buffers"], result["lower_bound"]), (63, self.peak))
        self.assertEqual(len(self.check_plan(out, result["height"])), 63)
        aligned = self.plan(self.snapshot, "-o", out)
        self.assertGreaterEqual(aligned["lower_bound"], self.peak)
        self.assertTrue(all(row["alignment"] == 512 for row in self.check_plan(out, aligned["height"])))
        log = self.path("log.csv")
        peak = traces.write_rmm(log)
        self.assertEqual(self.plan(log, "--alignment", "1")["lower_bound"], peak)

    def test_the_table_says_it_for_people(self):
        path = self.put(self.EXAMPLE)
        lines = self.check(tarn("plan", path), 0).out.splitlines()
        self.assertEqual(lines[0].split(), ["problem", "buffers", "lower", "bound", "height", "efficiency", "optimal", "fits", "time"])
        self.assertRegex(lines[1], r"problem.csv +5 +12 B +12 B +100.00 % +yes +- ")
        self.assertIn("yes", self.check(tarn("plan", path, "--capacity", "12"), 0).out.splitlines()[1].split()[-3:])

    def test_bad_problems_are_refused_with_their_line(self):
        for text, part in (("id,lower,upper\na,0,1\n", 'line 1: the column "size"'), ("id,lower,upper,size\na,3,3,1\n", "line 2"),
                           ("id,lower,upper,size\na,0,1,1\na,1,2,1\n", "line 3"), ("id,lower,upper,size\na,0,1,99999999999999999999\n", "line 2"),
                           ("id,lower,upper,size\na,0,1,9223372036854775807\nb,0,1,1\n", "line 3"), ("id,lower,upper,size\na,0,x,1\n", "line 2"),
                           ("id,lower,upper,size\na,0,1,1,\n", "line 2"), ("id,lower,upper,size,offset\na,0,1,4,0\nb,0,1,4,2\n", "overlap")):
            with self.subTest(text=text):
                result = tarn("plan", self.put(text))
                self.check_refused(result, 2)
                self.assertIn(part, result.err)

    def test_outputs_that_cannot_be_written_exit_with_2(self):
        path = self.put(self.EXAMPLE)
        for option in ("-o", "--svg", "--html"):
            for place in (self.folder, self.path("missing/out"), "/dev/full"):
                with self.subTest(option=option, place=place):
                    self.check_refused(tarn("plan", path, option, place), 2)

    def test_pictures_stand_alone_and_escape_what_files_say(self):
        path = self.put('id,lower,upper,size\n"</script><img src=x onerror=alert(1)>&\x01\xff",0,3,4\nb,1,9,4\n')
        svg, html = self.path("plan.svg"), self.path("plan.html")
        self.check(tarn("plan", path, "--svg", svg, "--html", html, "--capacity", "8"), 0)
        tree = xml.etree.ElementTree.parse(svg)
        space = {"s": "http://www.w3.org/2000/svg"}
        self.assertEqual([rect.find("s:title", space).text.split(":")[0] for rect in tree.findall(".//s:g/s:rect", space)],
                         ["</script><img src=x onerror=alert(1)>&?\xff", "b"])
        with open(html, encoding="utf8") as file:
            text = file.read()
        self.assertNotIn("<img", text)
        self.assertNotRegex(text, r"<[^>]*(src|href)\s*=")
        # Without any memory to place there is still a picture.
        self.check(tarn("plan", self.put("id,lower,upper,size\na,0,1,0\n"), "--svg", svg, "--html", html), 0)
        xml.etree.ElementTree.parse(svg)

    def test_an_interrupt_ends_the_search_and_shows_the_best_plan(self):
        choose = random.Random(5)
        rows = [(start := choose.randrange(1000), start + choose.randrange(1, 300), choose.randrange(1, 10**6)) for _ in range(400)]
        path = self.put("id,lower,upper,size\n" + "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(rows)))
        main, terminal = self.open_terminal()
        process = subprocess.Popen([TOOL, "plan", path, "--json", "--timeout", "600"], stdout=subprocess.PIPE, stderr=terminal)
        os.read(main, 16)  # the bar: the search is about to begin, and signals are heard
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        for end in (terminal, main):
            os.close(end)
        self.assertEqual(json.loads(out)["buffers"], 400)

    def test_many_buffers_are_read_and_placed(self):
        path = self.put("id,lower,upper,size\n" + "".join(f"b{i},{i},{i + 50},{64 + i % 1000}\n" for i in range(20_000)))
        result = self.plan(path, "--timeout", "0", "--svg", self.path("plan.svg"), "--html", self.path("plan.html"))
        self.assertEqual(result["buffers"], 20_000)

    def test_the_published_problems_are_planned(self):
        folder = os.path.join(SHARED, "minimalloc")
        if not os.path.isdir(folder):
            self.skipTest("TARN_SHARED_DATA has no minimalloc")
        for name in sorted(os.listdir(folder)):
            with self.subTest(name=name):
                out = self.path("out.csv")
                result = self.plan(os.path.join(folder, name), "--timeout", "0", "-o", out)
                self.check_plan(out, result["height"])
                self.assertLessEqual(result["lower_bound"], result["height"])


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


class BadInput(ToolTest):
    def test_bad_files_are_refused_in_little_memory(self):
        limit = None if is_sanitized() else 100 << 20
        for name, path in traces.write_bad_inputs(self.folder):
            for command in (["inspect"], ["replay", "--json"], ["plan", "--json"], ["convert", path, self.path("out.tarn")]):
                with self.subTest(name=name, command=command[0]):
                    result = tarn(*command, *([path] if command[0] != "convert" else []), folder=self.folder)
                    self.check_refused(result, 2)
                    if limit:
                        self.assertLess(result.rss, limit)
        self.assertFalse(os.path.exists(self.path("tarn-was-here")))


if __name__ == "__main__":
    unittest.main()
