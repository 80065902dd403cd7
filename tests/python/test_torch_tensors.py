"""PyTorch's own tensors on Tarn's memory, without a GPU: on the fake driver, and on a stand-in for CUDA's runtime (tests/torch/runtime).

By hand: TARN_TEST_PYTHON names an interpreter with a PyTorch for CUDA, 2.5 or later. Kernels do not run there; copies do."""

import os
import subprocess
import sys
import textwrap
import unittest

try:
    import torch
    CUDA = getattr(torch.version, "cuda", None)
except (ImportError, OSError):
    torch = CUDA = None

DRIVER = os.path.join(os.environ.get("TARN_FAKE_DRIVER", ""), "libcuda.so.1")
VERSION = (CUDA or "none").split(".")[0]
RUNTIME = os.path.join(os.environ.get("TARN_FAKE_RUNTIME", ""), VERSION, "libcudart.so." + VERSION)

# Loaded by these names beforehand, they are what PyTorch's libraries find.
BEGIN = """
    import ctypes, os, sys
    sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_LOCAL)
    driver = ctypes.CDLL(%r)
    ctypes.CDLL(%r)
    import tarn.torch, torch
    kind = tarn.torch.install("limit:64MiB | caching", shim=%r)
    def in_use():
        return tarn.torch.memory_stats(0)["allocation.all.current"]
"""


def has_shim():
    import tarn.torch
    return tarn.torch._shim_path(torch) is not None


@unittest.skipUnless(CUDA and os.path.exists(DRIVER) and os.path.exists(RUNTIME), "no PyTorch for CUDA here, or no fake runtime for it")
class Tensors(unittest.TestCase):
    def run_there(self, text, needs_shim=False):
        if needs_shim and not has_shim():
            self.skipTest("no shim was built for this PyTorch")
        for shim in [True] if needs_shim else [False] + [True] * has_shim():
            begin = textwrap.dedent(BEGIN) % (DRIVER, RUNTIME, shim)
            done = subprocess.run([sys.executable, "-c", begin + textwrap.dedent(text)], capture_output=True, text=True,
                                  env={**os.environ, "TARN_TORCH_DEVICE": "cuda:{}", "FAKECUDA_MEMORY": "256MiB"})
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_tensors_hold_what_is_copied_and_give_their_memory_back(self):
        self.run_there("""
            assert torch.cuda.is_available()
            host = torch.arange(100000, dtype=torch.int32)
            tensor = host.cuda()
            again = torch.empty_like(tensor)
            again.copy_(tensor)
            assert torch.equal(again.cpu(), host)
            assert in_use() == 2
            first = tensor.data_ptr()
            del tensor
            assert in_use() == 1
            assert torch.empty_like(again).data_ptr() == first
            del again
            torch.cuda.empty_cache()
            assert in_use() == 0
            assert tarn.torch.memory_stats(0)["reserved_bytes.all.current"] == 0
        """)

    def test_devices_have_memory_of_their_own(self):
        self.run_there("""
            tensors = [torch.ones(1000).to("cuda:%d" % number) for number in range(2)]
            assert [tensor.device.index for tensor in tensors] == [0, 1]
            assert [tarn.torch.memory_stats(number)["allocation.all.current"] for number in range(2)] == [1, 1]
            assert all(tensor.cpu().sum() == 1000 for tensor in tensors)
        """)

    def test_a_recorded_stream_keeps_memory_until_it_is_done(self):
        self.run_there("""
            side = torch.cuda.Stream()
            driver.fakecuda_hold(1)
            tensor = torch.empty(1 << 20, dtype=torch.uint8, device="cuda")
            other = torch.empty_like(tensor)
            with torch.cuda.stream(side):
                other.copy_(tensor)
            tensor.record_stream(side)
            address = tensor.data_ptr()
            del tensor
            assert torch.empty(1 << 20, dtype=torch.uint8, device="cuda").data_ptr() != address
            driver.fakecuda_hold(0)
            side.synchronize()
        """)

    def test_memory_that_runs_out_is_pytorchs_exception(self):
        self.run_there("""
            held = torch.empty(40 << 20, dtype=torch.uint8, device="cuda")
            try:
                torch.empty(40 << 20, dtype=torch.uint8, device="cuda")
            except torch.cuda.OutOfMemoryError as error:
                assert "Tried to allocate 40.00 MiB" in str(error), error
            else:
                raise AssertionError("there was memory")
            del held
            torch.empty(40 << 20, dtype=torch.uint8, device="cuda")
            assert torch.cuda.memory_stats()["num_ooms"] == 1
            assert torch.cuda.max_memory_allocated() == 40 << 20
        """, needs_shim=True)

    def test_a_captured_graph_keeps_its_addresses(self):
        self.run_there("""
            source = torch.arange(1000.0).cuda()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                inner = torch.empty_like(source)
                inner.copy_(source)
                result = torch.empty_like(source)
                result.copy_(inner)
                del inner
            other = torch.empty(1 << 20, device="cuda")
            source.copy_(torch.full((1000,), 7.0))
            graph.replay()
            torch.cuda.synchronize()
            assert torch.equal(result.cpu(), torch.full((1000,), 7.0))
            address = result.data_ptr()
            del graph, result
            torch.cuda.synchronize()
        """)


if __name__ == "__main__":
    unittest.main()
