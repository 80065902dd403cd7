#!/usr/bin/env python3
"""What the tarn command says of itself and of the machine, and what it refuses: usage, help, output, devices, bad files."""
import json
import os
import sys
import unittest
import unittest.mock

sys.dont_write_bytecode = True
from command_line import is_sanitized, tarn, ToolTest  # noqa: E402
import traces  # noqa: E402


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
        for arguments in (["--help"], ["--version"], ["replay", "--help"], ["plan", "--usage"]):
            with self.subTest(arguments=arguments), open("/dev/full", "w") as full:
                self.assertIn("standard output", self.check(tarn(*arguments, stdout=full), 2).err)
        read, write = os.pipe()
        os.close(read)
        result = tarn("devices", "--json", stdout=write)
        os.close(write)
        self.assertGreater(result.code, 0)
        self.assertIn("standard output", result.err)

    def test_a_closed_standard_output_matters_only_where_something_is_printed(self):
        for arguments, code in ((["convert", self.snapshot, self.path("out.tarn")], 0), (["inspect", self.snapshot], 2), (["--help"], 2),
                                (["nonsense"], 1), (["inspect", self.path("missing")], 2)):
            with self.subTest(arguments=arguments):
                self.check(tarn(*arguments, closed=[1]), code)
                self.assertEqual(self.check(tarn(*arguments, closed=[0, 1, 2]), code).err, "")
        self.assertEqual(self.results(self.path("out.tarn"), "--allocator", "direct")[0]["peak_live_bytes"], self.peak)

    def test_what_a_file_says_does_not_steer_the_terminal(self):
        for control in ("\x1b[31m", "\x7f", "\u009b31m"):
            with self.subTest(control=control):
                path = self.path("table.csv")
                with open(path, "w", encoding="utf8") as file:
                    file.write(f"id,lower,upper,size,{control}\na,0,1,4,x\n")
                result = self.check(tarn("plan", path), 0)
                self.assertIn('the column "?', result.err)
                traces.write_snapshot(self.path("hostile.pickle"), site=control + "\n")
                self.assertIn("?", self.check(tarn("inspect", self.path("hostile.pickle")), 0).out)
                for text in (result.err, tarn("inspect", self.path("hostile.pickle")).out, tarn("inspect", control).err):
                    self.assertNotIn(control[0], text)


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
