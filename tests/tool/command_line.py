"""The tarn command from outside, as every test of it runs it: its exit code, what it prints, its memory.

TARN_TOOL names the command. The tests use nothing but Python's standard library.
"""
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import traces  # noqa: E402

TOOL = os.environ.get("TARN_TOOL", "tarn")
RECORDER = os.environ.get("TARN_RECORDER", "")
SHARED = os.environ.get("TARN_SHARED_DATA", "")


def is_sanitized():
    with open(TOOL, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class Result:
    pass


def tarn(*arguments, folder=None, stdout=subprocess.PIPE, closed=()):
    """Runs the tool, with some of its standard streams closed; the result has code, out, err and rss, the most memory it had, in bytes."""
    shell = ["sh", "-c", 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed), "sh"] if closed else []
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([*shell, TOOL, *arguments], stdout=stdout, stderr=errors, cwd=folder)
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

    def on_a_terminal(self, *arguments):
        """Runs the tool with a terminal for its stderr; returns what it printed, and what was shown."""
        main, terminal = self.open_terminal()
        process = subprocess.Popen([TOOL, *arguments], stdout=subprocess.PIPE, stderr=terminal)
        out = process.stdout.read()
        process.stdout.close()
        process.wait()
        os.close(terminal)
        shown = os.read(main, 1 << 16).decode()
        os.close(main)
        return out, shown

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
