"""libtarn-torch.so by ctypes, as PyTorch calls it, and tarn.torch, which gives it to PyTorch where that is installed.

Each test is a process of its own: a plug-in is for a whole process."""

import ctypes
import os
import subprocess
import sys
import textwrap
import unittest

try:
    import torch
except ImportError:
    torch = None

FAKE_DRIVER = os.environ.get("TARN_FAKE_DRIVER", "")
CAN_PLUG = torch is not None and hasattr(getattr(torch.cuda, "memory", None), "CUDAPluggableAllocator")


def run(text, **environment):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True,
                          env={**os.environ, "TARN_TORCH_DEVICE": "sim:8GiB", **environment})


class PlugIn(unittest.TestCase):
    def expect(self, text, **environment):
        done = run(text, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_memory_comes_and_goes_by_address(self):
        self.expect("""
            import ctypes, tarn.torch
            plugin = ctypes.CDLL(tarn.torch.plugin_path())
            plugin.tarn_torch_malloc.restype = ctypes.c_void_p
            plugin.tarn_torch_malloc.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
            plugin.tarn_torch_free.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
            first = plugin.tarn_torch_malloc(1 << 20, 0, None)
            other = plugin.tarn_torch_malloc(1 << 20, 0, 0x1000)
            assert first and other and first != other
            assert tarn.torch.allocator(0).stats()["blocks"]["current"] == 2
            plugin.tarn_torch_record_stream(ctypes.c_void_p(first), ctypes.c_void_p(0x1000))
            plugin.tarn_torch_free(first, 1 << 20, 0, None)
            plugin.tarn_torch_free(other, 1 << 20, 0, 0x1000)
            assert plugin.tarn_torch_malloc(0, 0, None) is None
            plugin.tarn_torch_reset()
            assert tarn.torch.allocator(0).allocated_size == 0
        """)

    def test_a_pool_of_a_c_plus_plus_filter_is_taken_by_its_hook(self):
        # An empty std::function is 32 zero bytes, and the pair of numbers two arguments: then every stream goes to the pool.
        self.expect("""
            import ctypes, tarn.torch
            plugin = ctypes.CDLL(tarn.torch.plugin_path())
            plugin.tarn_torch_malloc.restype = ctypes.c_void_p
            plugin.tarn_torch_pool_allocator.restype = ctypes.c_void_p
            number = ctypes.c_uint64
            empty = (ctypes.c_char * 32)()
            plugin.tarn_torch_begin_allocate_to_pool(0, number(0), number(1), empty)
            pointer = plugin.tarn_torch_malloc(ctypes.c_size_t(4096), 0, None)
            assert tarn.torch.allocator(0).stats()["blocks"]["current"] == 0
            plugin.tarn_torch_end_allocate_to_pool(0, number(0), number(1))
            plugin.tarn_torch_release_pool(0, number(0), number(1))
            assert plugin.tarn_torch_pool_allocator(0, number(0), number(1))
            plugin.tarn_torch_free(ctypes.c_void_p(pointer), ctypes.c_size_t(4096), 0, None)
            assert not plugin.tarn_torch_pool_allocator(0, number(0), number(1))
        """)

    def test_a_failure_is_printed_and_null(self):
        done = run("""
            import ctypes, tarn.torch
            plugin = ctypes.CDLL(tarn.torch.plugin_path())
            plugin.tarn_torch_malloc.restype = ctypes.c_void_p
            assert plugin.tarn_torch_malloc(ctypes.c_size_t(16 << 30), 0, None) is None
        """)
        self.assertEqual(done.returncode, 0)
        self.assertIn("tarn-torch: device 0: no memory for 17179869184 bytes", done.stderr)

    def test_a_device_that_is_not_there_is_named(self):
        done = run("import tarn.torch; tarn.torch.allocator(0)", TARN_TORCH_DEVICE="nowhere:0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Unavailable", done.stderr)
        self.assertIn("nowhere", done.stderr)

    def test_a_plug_in_that_is_not_there_is_named(self):
        done = run("import tarn.torch; tarn.torch.allocator(0)", TARN_TORCH_LIBRARY="/nowhere/libtarn-torch.so")
        self.assertIn("NotFound", done.stderr)
        self.assertIn("/nowhere/libtarn-torch.so", done.stderr)


# What tarn.torch sees of PyTorch, without PyTorch.
WITH_A_STUB = """
    import os, sys, types, tarn
    started, given = [False], []
    class CUDAPluggableAllocator:
        def __init__(self, *arguments):
            self.arguments = arguments
        def allocator(self):
            return self
        def __getattr__(self, name):
            if name.startswith("set_"):
                return lambda address: None
            raise AttributeError(name)
    torch = types.ModuleType("torch")
    torch.__version__ = "2.3.4+cu121"
    torch.cuda = types.SimpleNamespace(is_initialized=lambda: started[0], memory=types.SimpleNamespace(
        CUDAPluggableAllocator=CUDAPluggableAllocator, change_current_allocator=given.append))
    sys.modules["torch"] = torch
    import tarn.torch
    def refused(kind, words, *arguments, **named):
        try:
            tarn.torch.install(*arguments, **named)
        except kind as error:
            assert words in str(error), error
            assert given == [] and "TARN_TORCH_ALLOCATOR" not in os.environ
        else:
            raise AssertionError("nothing was refused")
"""


class Installing(unittest.TestCase):
    def expect(self, text, **environment):
        done = run(textwrap.dedent(WITH_A_STUB) + textwrap.dedent(text), **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_cannot_be_installed_is_refused_and_can_be_tried_again(self):
        self.expect("""
            started[0] = True
            refused(tarn.InvalidState, "comes first")
            started[0] = False
            refused(tarn.InvalidArgument, "cachign", "limit:1GiB | cachign")
            refused(tarn.InvalidArgument, "column", "limit:nothing | caching")
            refused(tarn.NotFound, "2.3.4", shim=True)
            assert tarn.torch.install("limit:1GiB | caching:kind=shared") == "plug-in"
            assert given[0].arguments[1:] == ("tarn_torch_malloc", "tarn_torch_free")
            assert os.environ["TARN_TORCH_ALLOCATOR"] == "limit:1GiB | caching:kind=shared"
            started[0] = True
            assert tarn.torch.install() == "plug-in"
            assert tarn.torch.install("limit:1GiB | caching:kind=shared") == "plug-in"
            try:
                tarn.torch.install("direct")
            except tarn.InvalidState as error:
                assert "already" in str(error)
            else:
                raise AssertionError("another spec was taken")
            assert len(given) == 1
        """)

    def test_a_pytorch_without_plug_ins_is_refused(self):
        self.expect("""
            torch.__version__ = "1.13.1"
            del torch.cuda.memory.CUDAPluggableAllocator
            refused(tarn.NotSupported, "1.13.1")
        """)

    def test_a_pytorch_without_cuda_is_refused(self):
        self.expect("""
            torch.version = types.SimpleNamespace(cuda=None)
            refused(tarn.NotSupported, "was built without CUDA")
        """)

    def test_a_shim_that_cannot_be_had_is_refused_with_what_helps(self):
        self.expect("""
            refused(tarn.NotFound, "only for 2.5 to 2.15", shim=True)
            torch.__version__ = "2.7.99"
            refused(tarn.NotFound, "no shim was built for PyTorch 2.7.99", shim=True)
            torch.__version__ = "2.16.0.dev20270101+cu130"
            refused(tarn.NotFound, "there is no shim for PyTorch 2.16.0.dev20270101, only for 2.5 to 2.15", shim=True)
        """)

    def test_the_shim_has_one_range_of_versions(self):
        import tarn.torch
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        first, last = tarn.torch._SHIM_VERSIONS
        for path, words in (("tools/torch/shim_versions.h", "TARN_PYTORCH < %d%02d || TARN_PYTORCH > %d%02d" % (first + last)),
                            ("tools/torch/torch.cmake", "VERSION_LESS %d.%d OR torch_version VERSION_GREATER_EQUAL %d.%d" % (
                                *first, last[0], last[1] + 1)),
                            ("docs/pytorch.md", "It takes PyTorch %d.%d to %d.%d." % (first + last))):
            with open(os.path.join(root, path), encoding="utf-8") as file:
                self.assertIn(words, file.read(), path)
        with open(os.path.join(root, "scripts", "torch-versions.sh"), encoding="utf-8") as file:
            script = file.read()
        for minor in range(first[1], last[1] + 1):
            self.assertRegex(script, r"[( ]2\.%d\.\d[ )]" % minor)

    def test_a_shim_for_another_build_of_pytorch_is_refused(self):
        self.expect("""
            import tempfile
            with tempfile.TemporaryDirectory() as folder:
                plugin = os.path.join(folder, "libtarn-torch.so")
                os.symlink(tarn.torch.plugin_path(), plugin)
                os.environ["TARN_TORCH_LIBRARY"] = plugin
                with open(os.path.join(folder, "libtarn-torch-shim-2.3.4.so"), "w") as file:
                    file.write("no library")
                refused(tarn.NotSupported, "another build of PyTorch 2.3.4")
                assert tarn.torch.install(shim=False) == "plug-in"
        """)

    def test_a_plug_in_that_is_not_there_is_refused(self):
        self.expect("""
            refused(tarn.NotFound, "/nowhere/libtarn-torch.so", "caching")
        """, TARN_TORCH_LIBRARY="/nowhere/libtarn-torch.so")


class Comparing(unittest.TestCase):
    """tools/torch/compare.py, as far as it goes without a GPU."""

    SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "torch", "compare.py")

    def test_without_a_gpu_it_says_so(self):
        done = subprocess.run([sys.executable, self.SCRIPT], capture_output=True, text=True)
        if torch is None or not torch.cuda.is_available():
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, "no PyTorch here|sees no GPU here")

    @unittest.skipUnless(torch is not None, "no PyTorch here")
    def test_a_dry_run_trains_on_the_processor(self):
        done = subprocess.run([sys.executable, self.SCRIPT, "--dry-run", "--steps", "2", "--rounds", "1"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        self.assertEqual([row[0] for row in rows], ["pytorch", "pytorch-expandable", "tarn"])
        self.assertEqual(len({row[3] for row in rows}), 1)

    def test_a_table_and_a_file_show_each_allocator_once(self):
        done = run("""
            import importlib.util, json, sys, tempfile
            spec = importlib.util.spec_from_file_location("compare", sys.argv[1])
            compare = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(compare)
            compare.check_machine = lambda is_dry: None
            runs = []
            def run(kind, steps, is_dry):
                runs.append((kind, steps))
                return {"kind": kind, "step_ms": 10.0 * len(runs), "reserved": 1 << 30, "reserved_peak": 2 << 30, "loss": 1.5}
            compare.run = run
            with tempfile.NamedTemporaryFile() as file:
                sys.argv = ["compare.py", "--steps", "7", "--rounds", "2", "--json", file.name]
                compare.main()
                assert len(json.load(open(file.name))) == 6
            assert runs == [(kind, 7) for kind in ("pytorch", "pytorch-expandable", "tarn")] * 2, runs
        """.replace("sys.argv[1]", repr(self.SCRIPT)))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["allocator", "pytorch", "pytorch-expandable", "tarn"])
        self.assertEqual(lines[1].split()[1:], ["25.00", "2048", "1.5000"])


# What PyTorch does before it asks a plug-in: the driver is started, and the device's primary context is current.
ON_THE_FAKE_DRIVER = """
    import ctypes, tarn, tarn.torch
    driver = ctypes.CDLL("libcuda.so.1")
    driver.fakecuda_violations.restype = ctypes.c_ulonglong
    driver.fakecuda_memory_used.restype = ctypes.c_size_t
    def call(name, *arguments):
        result = getattr(driver, name)(*arguments)
        assert result == 0, (name, result)
    def new_stream():
        stream = ctypes.c_void_p()
        call("cuStreamCreate", ctypes.byref(stream), 1)
        return stream.value
    context = ctypes.c_void_p()
    call("cuInit", 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    plugin = ctypes.CDLL(tarn.torch.plugin_path())
    malloc, free, record = plugin.tarn_torch_malloc, plugin.tarn_torch_free, plugin.tarn_torch_record_stream
    malloc.restype = ctypes.c_void_p
    malloc.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
    free.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
    record.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    def finish():
        sentence = ctypes.c_char_p()
        plugin.tarn_torch_reset()
        assert driver.fakecuda_violations(ctypes.byref(sentence)) == 0, sentence.value
"""


def has_fake_driver():
    try:
        return hasattr(ctypes.CDLL(os.path.join(FAKE_DRIVER, "libcuda.so.1")), "cuStreamBeginCapture_v2")
    except OSError:
        return False


@unittest.skipUnless(FAKE_DRIVER and has_fake_driver(), "the fake driver was not built")
class OnTheFakeDriver(unittest.TestCase):
    def run_there(self, text, **environment):
        done = run(textwrap.dedent(ON_THE_FAKE_DRIVER) + textwrap.dedent(text) + "\nfinish()\n", TARN_TORCH_DEVICE="",
                   LD_LIBRARY_PATH=FAKE_DRIVER, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_memory_follows_the_streams_of_another_library(self):
        self.run_there("""
            side = new_stream()
            first = malloc(1 << 20, 0, side)
            assert first and driver.fakecuda_memory_used(0) > 0
            call("cuMemsetD8Async", ctypes.c_void_p(first), 7, ctypes.c_size_t(1 << 20), ctypes.c_void_p(side))
            # The fake driver does work as late as it may: the memory is free on its own stream at once, and on no other.
            free(first, 1 << 20, 0, side)
            other = malloc(1 << 20, 0, None)
            assert other != first
            assert malloc(1 << 20, 0, side) == first
            free(first, 1 << 20, 0, side)
            free(other, 1 << 20, 0, None)
        """)

    def test_a_recorded_stream_keeps_memory_until_it_is_done(self):
        self.run_there("""
            side = new_stream()
            driver.fakecuda_hold(1)
            first = malloc(1 << 20, 0, None)
            record(first, side)
            call("cuMemsetD8Async", ctypes.c_void_p(first), 7, ctypes.c_size_t(1 << 20), ctypes.c_void_p(side))
            free(first, 1 << 20, 0, None)
            second = malloc(1 << 20, 0, None)
            assert second != first
            driver.fakecuda_hold(0)
            call("cuStreamSynchronize", ctypes.c_void_p(side))
            assert malloc(1 << 20, 0, None) == first
            free(first, 1 << 20, 0, None)
            free(second, 1 << 20, 0, None)
        """)

    def test_each_device_has_its_own_memory(self):
        self.run_there("""
            on = [malloc(4096, 0, None), malloc(4096, 1, None)]
            assert all(on) and on[0] != on[1]
            assert [tarn.torch.allocator(n).device.name for n in range(2)] == ["cuda:0", "cuda:1"]
            assert all(driver.fakecuda_memory_used(n) > 0 for n in range(2))
            for n in range(2):
                free(on[n], 4096, n, None)
        """)

    def test_memory_that_runs_out_is_null_and_comes_back(self):
        done = self.run_there("""
            held = [malloc(16 << 20, 0, None) for _ in range(4)]
            assert all(held[:3])
            assert malloc(64 << 20, 0, None) is None
            for pointer in held:
                if pointer:
                    free(pointer, 16 << 20, 0, None)
            again = malloc(40 << 20, 0, None)
            assert again
            free(again, 40 << 20, 0, None)
        """, FAKECUDA_MEMORY="64MiB")
        self.assertIn("no memory for 67108864 bytes", done.stderr)

    def test_a_capture_is_not_ended_by_what_is_allocated_in_it(self):
        self.run_there("""
            number, empty = ctypes.c_uint64, (ctypes.c_char * 32)()
            captured, side = new_stream(), new_stream()
            shared = malloc(1 << 20, 0, None)
            record(shared, captured)
            pending = malloc(1 << 20, 0, side)
            record(pending, captured)
            call("cuMemsetD8Async", ctypes.c_void_p(pending), 7, ctypes.c_size_t(1 << 20), ctypes.c_void_p(captured))
            free(pending, 1 << 20, 0, side)
            plugin.tarn_torch_begin_allocate_to_pool(0, number(0), number(1), empty)
            call("cuStreamBeginCapture_v2", ctypes.c_void_p(captured), 0)  # global: no thread may do what is unsafe
            inside = malloc(1 << 20, 0, captured)
            assert inside
            call("cuMemsetD8Async", ctypes.c_void_p(inside), 7, ctypes.c_size_t(1 << 20), ctypes.c_void_p(captured))
            record(inside, side)
            free(inside, 1 << 20, 0, captured)
            free(shared, 1 << 20, 0, None)
            again = malloc(32 << 20, 0, captured)
            assert again and again != inside
            free(again, 32 << 20, 0, captured)
            graph = ctypes.c_void_p()
            call("cuStreamEndCapture", ctypes.c_void_p(captured), ctypes.byref(graph))
            plugin.tarn_torch_end_allocate_to_pool(0, number(0), number(1))
            later = malloc(1 << 20, 0, captured)
            assert later and later != inside
            free(later, 1 << 20, 0, captured)
            call("cuGraphDestroy", graph)
            call("cuCtxSynchronize")
            plugin.tarn_torch_release_pool(0, number(0), number(1))
        """)

    def test_memory_of_cumemalloc_goes_to_another_process_by_the_drivers_handles(self):
        self.run_there("""
            import os, subprocess, sys
            plugin.tarn_torch_last_error.restype = ctypes.c_char_p
            if "HANDLE" in os.environ:
                handle, opened, again = bytes.fromhex(os.environ["HANDLE"]), ctypes.c_void_p(), ctypes.c_void_p()
                for place in (opened, again):
                    status = plugin.tarn_torch_open_shared(0, handle, ctypes.c_size_t(len(handle)), ctypes.byref(place))
                    assert status == 0, plugin.tarn_torch_last_error()
                assert opened.value == again.value
                byte = (ctypes.c_ubyte * 1)()
                call("cuMemcpyDtoH_v2", byte, ctypes.c_void_p(opened.value + int(os.environ["OFFSET"])), ctypes.c_size_t(1))
                assert byte[0] == 7
                plugin.tarn_torch_close_shared(opened)
                plugin.tarn_torch_close_shared(opened)
                finish()
                sys.exit(0)
            pointer, beside = malloc(1 << 20, 0, None), malloc(1 << 20, 0, None)
            call("cuMemsetD8_v2", ctypes.c_void_p(beside), 7, ctypes.c_size_t(1 << 20))
            handle, size, offset = (ctypes.c_char * 256)(), ctypes.c_size_t(), ctypes.c_uint64()
            status = plugin.tarn_torch_share(ctypes.c_void_p(beside), handle, ctypes.byref(size), ctypes.byref(offset))
            assert status == 0, plugin.tarn_torch_last_error()
            text = open("/proc/self/cmdline").read().split(chr(0))[2]
            done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env={**os.environ,
                "HANDLE": handle.raw[:size.value].hex(), "OFFSET": str(offset.value)})
            assert done.returncode == 0, done.stderr
            free(pointer, 1 << 20, 0, None)
            free(beside, 1 << 20, 0, None)
        """, TARN_TORCH_ALLOCATOR="caching:expandable=off")

    def test_a_driver_that_fails_is_told_of(self):
        done = self.run_there("""
            pointer = malloc(4096, 0, None)
            free(pointer, 4096, 0, None)
            assert malloc(1 << 30, 0, None) is None
            pointer = malloc(1 << 30, 0, None)
            assert pointer
            free(pointer, 1 << 30, 0, None)
        """, FAKECUDA_FAULT="cuMemCreate:2:CUDA_ERROR_UNKNOWN")
        self.assertIn("tarn-torch: device 0: no memory", done.stderr)


@unittest.skipUnless(CAN_PLUG, "no PyTorch here that takes allocators")
class WithPyTorch(unittest.TestCase):
    def expect(self, text, **environment):
        done = run(text, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_every_hook_is_set(self):
        self.expect("""
            import warnings
            warnings.simplefilter("error")
            import tarn.torch
            assert tarn.torch.pluggable() is not None
        """)

    def test_it_is_installed_once_and_for_good(self):
        self.expect("""
            import tarn, tarn.torch, torch
            assert tarn.torch.install("limit:1GiB | caching", shim=False) == "plug-in"
            assert tarn.torch.install() == "plug-in"
            try:
                tarn.torch.install("direct")
            except tarn.InvalidState:
                pass
            else:
                raise AssertionError("another spec was taken")
            assert torch._C._cuda_getAllocatorBackend() == "pluggable"
            assert tarn.torch.allocator(0).spec.startswith("limit:")
        """)


def has_shim():
    if not CAN_PLUG or "TARN_TORCH_LIBRARY" not in os.environ:
        return False
    import tarn.torch
    return tarn.torch._shim_path(torch) is not None


IN_THE_SHIM = """
    import contextlib, ctypes, os, pickle, subprocess, sys, tempfile, tarn, tarn.torch, torch
    assert tarn.torch.install() == "shim"
    shim = ctypes.CDLL(tarn.torch._shim_path(torch))
    ADDRESS, OUT_OF_MEMORY, REFUSED = 0, 1, 2
    size_of, number, address_of = ctypes.c_size_t, ctypes.c_ulonglong, ctypes.c_void_p
    def allocate(size, stream=None, device=0):
        place = address_of()
        return shim.tarn_torch_shim_allocate(size_of(size), device, address_of(stream), ctypes.byref(place)), place.value
    def take(*arguments):
        status, pointer = allocate(*arguments)
        assert status == ADDRESS
        return pointer
    def free(pointer):
        assert shim.tarn_torch_shim_free(address_of(pointer)) == 0
    def figure(name, sizes="all"):
        return torch._C._cuda_memoryStats(0)[name][sizes]
    def snapshot(pool=None):
        try:
            return torch._C._cuda_memorySnapshot(pool)
        except TypeError:  # before 2.8, of all pools
            return torch._C._cuda_memorySnapshot()
    def blocks(pool=None):
        return {b["address"]: b for s in snapshot(pool)["segments"] for b in s["blocks"]
                if pool in (None, tuple(s["segment_pool_id"]))}
    end_pool = getattr(torch._C, "_cuda_endAllocateToPool", None) or torch._C._cuda_endAllocateCurrentStreamToPool
    def refused(function, *arguments):
        try:
            function(*arguments)
        except RuntimeError as error:
            return str(error)
        raise AssertionError("%r was not refused" % function)
"""


@unittest.skipUnless(has_shim(), "no shim was built for a PyTorch here")
class InTheShim(unittest.TestCase):
    """Each is many tests in one process, since PyTorch takes seconds to load."""

    def run_there(self, text, **environment):
        done = run(textwrap.dedent(IN_THE_SHIM) + textwrap.dedent(text), **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def test_statistics_history_and_exceptions_are_pytorchs(self):
        told = self.run_there("""
            assert torch._C._cuda_getAllocatorBackend() == "tarn"

            # Statistics, all of them, under PyTorch's names.
            first, small = take(5 << 20), take(1000)
            assert figure("requested_bytes", "large_pool") == {"current": 5 << 20, "peak": 5 << 20, "allocated": 5 << 20, "freed": 0}
            assert figure("requested_bytes", "small_pool")["current"] == 1000
            assert figure("allocation")["current"] == 2 and figure("segment")["current"] == 1
            assert figure("reserved_bytes")["current"] >= 5 << 20
            free(first)
            assert figure("requested_bytes", "large_pool") == {"current": 0, "peak": 5 << 20, "allocated": 5 << 20, "freed": 5 << 20}
            torch._C._cuda_resetPeakMemoryStats(0)
            torch._C._cuda_resetAccumulatedMemoryStats(0)
            assert figure("requested_bytes") == {"current": 1000, "peak": 1000, "allocated": 0, "freed": 0}
            free(small)
            names = {name for name, value in torch._C._cuda_memoryStats(0).items() if isinstance(value, dict)}
            assert names >= {"allocation", "segment", "active", "inactive_split", "allocated_bytes", "reserved_bytes",
                             "active_bytes", "inactive_split_bytes", "requested_bytes", "oversize_allocations"}, names
            assert torch._C._cuda_memoryStats(0)["num_device_alloc"] > 0
            assert set(tarn.torch.memory_stats()) <= {name + "." + sizes + "." + part for name in names
                for sizes in ("all", "small_pool", "large_pool") for part in ("current", "peak", "allocated", "freed")} | set(
                torch._C._cuda_memoryStats(0))
            nested = torch._C._cuda_memoryStats(0)
            for name, value in tarn.torch.memory_stats().items():
                parts = name.split(".")
                expected = nested[parts[0]] if len(parts) == 1 else nested[parts[0]][parts[1]][parts[2]]
                assert value == expected, name

            # Out of memory.
            observed = []
            four_numbers = [ctypes.c_longlong] * 4
            observer = ctypes.CFUNCTYPE(None, *four_numbers)(lambda *figures: observed.append(figures))
            shim.tarn_torch_shim_observe(observer)
            assert allocate(64 << 30) == (OUT_OF_MEMORY, None)
            assert torch._C._cuda_memoryStats(0)["num_ooms"] == 1
            assert len(observed) == 1 and observed[0][0] == 0 and observed[0][2] == 8 << 30, observed
            assert allocate(0) == (ADDRESS, None)
            free(take(1 << 30))

            # Snapshots and history.
            assert shim.tarn_torch_shim_record(size_of(100)) == 0
            pointers = [take(1 << 20, stream) for stream in (None, None, 0x1000)]
            free(pointers[1])
            taken = snapshot()
            mine = blocks()[pointers[0]]
            assert mine["state"] == "active_allocated" and mine["requested_size"] == 1 << 20
            assert any("take" in frame["name"] for frame in mine["frames"]), mine["frames"]
            assert {s["stream"] for s in taken["segments"]} == {0, 0x1000}
            assert sum(s["active_size"] for s in taken["segments"]) == 2 << 20
            events = taken["device_traces"][0]
            actions = [(e["action"], e["addr"]) for e in events if not e["action"].startswith("segment")]
            assert actions == [("alloc", p) for p in pointers] + [("free_requested", pointers[1]),
                                                                  ("free_completed", pointers[1])], actions
            assert any(e["action"].startswith("segment") for e in events)
            assert all(e["time_us"] > 10**15 for e in events)
            wanted = set()
            if hasattr(torch.cuda.memory, "_set_memory_metadata"):
                torch.cuda.memory._set_memory_metadata("a text")
                wanted.add("a text")
            free(take(2000))
            if hasattr(torch.cuda.memory, "_annotate_memory"):
                torch.cuda.memory._annotate_memory(pointers[0], "another text")
                wanted.add("another text")
            texts = {e.get("user_metadata") for e in snapshot()["device_traces"][0]}
            assert wanted <= texts, texts

            # A snapshot of PyTorch's is read by PyTorch's viewer and by Tarn's tool.
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "snapshot.pickle")
                with open(path, "wb") as file:
                    pickle.dump(torch.cuda.memory._snapshot(), file)
                from torch.cuda import _memory_viz
                with open(path, "rb") as file:
                    assert "<html" in _memory_viz.trace_plot(pickle.load(file)).lower()
                tool = os.path.join(os.path.dirname(os.environ["TARN_LIBRARY"]), "tarn")
                if os.path.exists(tool):
                    for command in ("inspect", "replay"):
                        done = subprocess.run([tool, command, path], capture_output=True, text=True)
                        assert done.returncode == 0, (command, done.stdout, done.stderr)
            assert shim.tarn_torch_shim_record(size_of(0)) == 0
            free(pointers[0]); free(pointers[2])

            # What does nothing says so.
            assert "direct" in refused(torch._C._cuda_cudaCachingAllocator_enable, False) if hasattr(
                torch._C, "_cuda_cudaCachingAllocator_enable") else True
            trackers = []
            tracker = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_ulonglong)(lambda *entry: trackers.append(entry))
            shim.tarn_torch_shim_track(tracker)
            pointer = take(3000)
            assert (0, pointer) in trackers
            free(pointer)
            left_alive = take(1000)  # to the end of the process
        """)
        self.assertIn("CUDA out of memory. Tried to allocate 64.00 GiB. GPU 0 has a total capacity of 8.00 GiB", told)

    def test_pools_have_checkpoints(self):
        self.run_there("""
            assert "has no pool (0, 1)" in refused(torch._C._cuda_getCheckpointState, 0, (0, 1))
            take(1000)
            assert shim.tarn_torch_shim_begin_pool(0, number(1)) == 0
            inside = [take(size) for size in (3000, 4 << 20, 700)]
            end_pool(0, (0, 1))
            free(inside[1])
            state = torch._C._cuda_getCheckpointState(0, (0, 1))
            free(inside[2])
            assert shim.tarn_torch_shim_begin_pool(0, number(1)) == 0
            later = take(500)
            assert torch._C._cuda_memoryStats(0)["allocation"]["all"]["current"] == 3
            end_pool(0, (0, 1))
            assert not torch._C._cuda_checkPoolLiveAllocations(0, (0, 1), {inside[0]})
            assert torch._C._cuda_checkPoolLiveAllocations(0, (0, 1), {inside[0], later})
            torch._C._cuda_setCheckpointPoolState(0, state, [], [])
            live = {a for a, b in blocks((0, 1)).items() if b["state"] == "active_allocated"}
            assert live == {inside[0], inside[2]}, live
            free(inside[0]); free(inside[2])
            assert shim.tarn_torch_shim_tell_pool(0, number(2), 1, 1) == 0
            assert shim.tarn_torch_shim_begin_pool(0, number(2)) == 0
            whole = take(512)
            assert blocks((0, 2))[whole]["size"] == 2 << 20
            end_pool(0, (0, 2))
            free(whole)
            for name in (1, 1, 2, 2):
                torch._C._cuda_releasePool(0, (0, name))
            assert blocks((0, 2)) == {}
        """)

    def test_memory_goes_to_another_process(self):
        self.run_there("""
            def share(pointer):
                handle, size, offset = (ctypes.c_char * 256)(), size_of(), ctypes.c_ssize_t()
                assert shim.tarn_torch_shim_share(address_of(pointer), handle, ctypes.byref(size), ctypes.byref(offset)) == 0
                return handle.raw[:size.value], offset.value
            def open_it(handle):
                place = address_of()
                status = shim.tarn_torch_shim_open(0, handle, size_of(len(handle)), ctypes.byref(place))
                return status, place.value
            if len(sys.argv) > 1:
                status, pointer = open_it(bytes.fromhex(sys.argv[1]))
                assert status == 0
                assert ctypes.string_at(pointer) == b"from the parent"
                ctypes.memmove(pointer, b"from the child", 15)
                sys.exit(0)
            pointer = take(1 << 20)
            ctypes.memmove(pointer, b"from the parent", 16)
            handle, offset = share(pointer)
            assert offset == 0
            assert open_it(b"no handle")[0] == REFUSED
            done = subprocess.run([sys.executable, "-c", open("/proc/self/cmdline").read().split(chr(0))[2], handle.hex()],
                                  capture_output=True, text=True)
            assert done.returncode == 0 or "ptrace_scope" in done.stderr, done.stderr
            assert done.returncode != 0 or ctypes.string_at(pointer) == b"from the child"
            free(pointer)
        """, TARN_TORCH_DEVICE="cpu", TARN_TORCH_ALLOCATOR="caching:kind=shared")


if __name__ == "__main__":
    unittest.main()
