"""libtarn-torch.so by ctypes, as PyTorch calls it, and tarn.torch, which gives it to PyTorch where that is installed.

Each test is a process of its own: a plug-in is for a whole process."""

import os
import subprocess
import sys
import textwrap
import unittest

try:
    import torch
except ImportError:
    torch = None

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


if __name__ == "__main__":
    unittest.main()
