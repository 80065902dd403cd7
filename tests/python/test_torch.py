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
    import ctypes, tarn, tarn.torch, torch
    assert tarn.torch.install() == "shim"
    shim = ctypes.CDLL(tarn.torch._shim_path(torch))
    shim.tarn_torch_shim_allocate.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    shim.tarn_torch_shim_free.argtypes = [ctypes.c_void_p]
    ADDRESS, OUT_OF_MEMORY = 0, 1
    def allocate(size, stream=None):
        place = ctypes.c_void_p()
        return shim.tarn_torch_shim_allocate(size, 0, stream, ctypes.byref(place)), place.value
    def figure(name):
        return torch._C._cuda_memoryStats(0)[name]["all"]
"""


@unittest.skipUnless(has_shim(), "no shim was built for a PyTorch here")
class InTheShim(unittest.TestCase):
    def run_there(self, text):
        done = run(textwrap.dedent(IN_THE_SHIM) + textwrap.dedent(text))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_pytorch_says_whose_memory_it_is(self):
        self.run_there("""
            assert torch._C._cuda_getAllocatorBackend() == "tarn"
        """)

    def test_statistics_have_pytorchs_names(self):
        self.run_there("""
            status, first = allocate(5 << 20)
            assert status == ADDRESS
            assert figure("requested_bytes") == {"current": 5 << 20, "peak": 5 << 20, "allocated": 5 << 20, "freed": 0}
            assert figure("reserved_bytes")["current"] >= 5 << 20 and figure("allocation")["current"] == 1
            assert figure("segment")["current"] == 1 and figure("inactive_split_bytes")["current"] < 2 << 20
            shim.tarn_torch_shim_free(first)
            assert figure("requested_bytes") == {"current": 0, "peak": 5 << 20, "allocated": 5 << 20, "freed": 5 << 20}
            torch._C._cuda_resetPeakMemoryStats(0)
            torch._C._cuda_resetAccumulatedMemoryStats(0)
            assert figure("requested_bytes") == {"current": 0, "peak": 0, "allocated": 0, "freed": 0}
            assert torch._C._cuda_memoryStats(0)["num_device_alloc"] > 0
        """)

    def test_out_of_memory_is_pytorchs_exception(self):
        self.run_there("""
            assert allocate(64 << 30) == (OUT_OF_MEMORY, None)
            assert torch._C._cuda_memoryStats(0)["num_ooms"] == 1
            assert allocate(0) == (ADDRESS, None)
            status, pointer = allocate(1 << 30)
            assert status == ADDRESS
            shim.tarn_torch_shim_free(pointer)
        """)

    def test_snapshots_show_segments_and_history(self):
        self.run_there("""
            shim.tarn_torch_shim_record_history(ctypes.c_size_t(100))
            pointers = [allocate(1 << 20, stream)[1] for stream in (None, None, 0x1000)]
            shim.tarn_torch_shim_free(pointers[1])
            taken = torch._C._cuda_memorySnapshot(None)
            blocks = {b["address"]: b for s in taken["segments"] for b in s["blocks"]}
            assert blocks[pointers[0]]["state"] == "active_allocated" and blocks[pointers[0]]["requested_size"] == 1 << 20
            assert len({s["stream"] for s in taken["segments"]}) == 2
            assert sum(s["active_size"] for s in taken["segments"]) == 2 << 20
            actions = [(e["action"], e["addr"]) for e in taken["device_traces"][0]]
            assert actions == [("alloc", p) for p in pointers] + [("free_requested", pointers[1]),
                                                                  ("free_completed", pointers[1])], actions
            assert all(e["time_us"] > 10**15 for e in taken["device_traces"][0])
        """)

    def test_what_it_does_not_give_says_so(self):
        self.run_there("""
            try:
                torch._C._cuda_getCheckpointState(0, (0, 1))
            except RuntimeError as error:
                assert "does not yet support" in str(error), error
            else:
                raise AssertionError("a checkpoint was given")
        """)


if __name__ == "__main__":
    unittest.main()
