"""Measures the rows of `tarn bench ops` with NumPy or PyTorch: one line for each, nanoseconds, or "-" where the library lacks it.

Usage: operations.py numpy|torch THREADS ELEMENTS ROUNDS; exits with 77 where the library is not installed.
"""
import sys
import time


def median(function, rounds, seconds=0.05):
    """The median of several rounds, each as many calls as take a while."""
    function()
    began = time.perf_counter_ns()
    function()
    calls = max(1, int(seconds * 1e9 / max(1, time.perf_counter_ns() - began)))
    times = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(calls):
            function()
        times.append((time.perf_counter_ns() - began) / calls)
    return sorted(times)[len(times) // 2]


def with_numpy(elements):
    import numpy as np

    random = np.random.default_rng(1)
    small = random.standard_normal(1000, dtype=np.float32), random.standard_normal(1000, dtype=np.float32)
    x, w = random.standard_normal(elements, dtype=np.float32), random.standard_normal(elements, dtype=np.float32)
    million = random.standard_normal(1000000, dtype=np.float32)
    a, b = random.standard_normal((1024, 1024), dtype=np.float32), random.standard_normal((1024, 1024), dtype=np.float32)
    return [lambda: small[0] + small[1], lambda: x + w, lambda: np.maximum(x * w + x, 0), lambda: np.tanh(million), lambda: np.exp(million),
            lambda: x.sum(), lambda: a @ b, None]


def with_torch(elements, threads):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    small = torch.randn(1000), torch.randn(1000)
    x, w, million = torch.randn(elements), torch.randn(elements), torch.randn(1000000)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    images, filters = torch.randn(8, 64, 56, 56), torch.randn(64, 64, 3, 3)
    return [lambda: small[0] + small[1], lambda: x + w, lambda: torch.relu(x * w + x), lambda: torch.tanh(million), lambda: torch.exp(million),
            lambda: x.sum(), lambda: a @ b, lambda: torch.nn.functional.conv2d(images, filters, padding=1)]


def main():
    library, threads, elements, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    try:
        rows = with_numpy(elements) if library == "numpy" else with_torch(elements, threads)
    except ImportError:
        sys.exit(77)
    for row in rows:
        print("-" if row is None else "%.1f" % median(row, rounds), flush=True)


main()
