#!/usr/bin/env python3
"""`tarn replay`: the documented keys, the devices, the page, the counters."""
import json
import os
import pickle
import sys
import unittest

sys.dont_write_bytecode = True
from command_line import SHARED, tarn, ToolTest  # noqa: E402
import traces  # noqa: E402

LATENCY = ["mean", "p50", "p99", "max"]
RESULT_KEYS = ["file", "device", "allocator", "events", "allocations", "frees", "peak_live_bytes", "peak_reserved_bytes", "utilization",
               "final_reserved_bytes", "recorded_peak_reserved_bytes", "driver_allocs", "driver_frees", "driver_maps", "driver_unmaps",
               "device_waits", "device_wait_ns", "failed_allocations", "allocate_ns", "free_ns"]


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

    def test_each_device_of_a_trace_has_its_own_figures(self):
        path = self.path("two.pickle")
        for device, (peak, reserved) in enumerate(traces.write_two_devices(path)):
            result = self.results(path, "--trace-device", str(device), "--allocator", "direct")[0]
            self.assertEqual((result["peak_live_bytes"], result["recorded_peak_reserved_bytes"]), (peak, reserved))
            self.assertEqual((result["recorded_utilization"], result["initial_allocations"]), (peak / reserved, 3))

    def test_a_recorded_peak_below_what_was_alive_is_not_known(self):
        # The history of an allocator that gave memory back without saying so.
        data, _ = traces.snapshot()
        data["segments"] = data["segments"][:0]
        data["device_traces"][0].append({"action": "segment_free", "addr": 1 << 40, "size": 4096, "stream": 0, "time_us": 1 << 52})
        path = self.path("short.pickle")
        with open(path, "wb") as file:
            pickle.dump(data, file)
        self.assertIsNone(self.results(path, "--allocator", "direct")[0]["recorded_peak_reserved_bytes"])
        self.assertNotIn("as recorded", self.check(tarn("replay", path), 0).out)

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
        out, shown = self.on_a_terminal("replay", self.snapshot, "--json")
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


if __name__ == "__main__":
    unittest.main()
