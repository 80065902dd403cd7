"""Measures the work of `tarn bench ops` and `tarn bench expr` with NumPy or PyTorch, operation by operation.

Usage: computing.py numpy|torch THREADS "WORK:ELEMENTS:ROUNDS:MILLISECONDS …"; one line for each, nanoseconds, or "-" where the library lacks
it. Exits with 77 where the library is not installed.
"""
import math
import sys
import time


def median(function, rounds, seconds):
    """The median of several rounds, each as many calls as take a while; fewer where they take much longer than that."""
    began = time.perf_counter_ns()
    function()
    once = time.perf_counter_ns() - began
    if once < seconds * 1e9:
        began = time.perf_counter_ns()
        function()
        once = time.perf_counter_ns() - began
    calls = max(1, int(seconds * 1e9 / max(1, once)))
    times = []
    patience = 2e9 * seconds * rounds
    while len(times) < rounds and patience > 0:
        began = time.perf_counter_ns()
        for _ in range(calls):
            function()
        took = time.perf_counter_ns() - began
        times.append(took / calls)
        patience -= took
    times.sort()
    return (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2


def shapes(operands, elements):
    """Of x and w, as the tool has them."""
    row, side, image = min(elements, 1000), math.isqrt(elements), math.isqrt(elements // 512)
    if operands == "images 3" or operands == "images 1":
        return (8, 64, image, image), (64, 64, int(operands[-1]), int(operands[-1]))
    shape = {"vectors": (elements,), "rows": (elements // row, row), "squares": (side, side), "batch": (max(1, elements // 4096), 64, 64)}[operands]
    return shape, shape


def chain(x, w):
    y = x
    for _ in range(8):
        y = y * w + x
    return y


def power(x, w):
    return lambda: x ** w


def with_numpy(elements):
    import numpy as np

    random = np.random.default_rng(1)
    flats = [random.standard_normal(elements, dtype=np.float32) for _ in range(2)]

    def softmax(x):
        powers = np.exp(x - x.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def gate(x, w):
        s = 1 / (1 + np.exp(-(x * w)))
        return s * (1 - s) + s

    def relu(x, w):
        return np.maximum(x * w + x, 0)

    def turn(x):
        return np.ascontiguousarray(x.T)

    return flats, {
        "pow": ("vectors", lambda x, w, row: power(np.exp(x), w)), "transpose": ("squares", lambda x, w, row: lambda: turn(x)),
        "add": ("vectors", lambda x, w, row: lambda: x + w), "add_row": ("rows", lambda x, w, row: lambda: x + row),
        "exp": ("vectors", lambda x, w, row: lambda: np.exp(x)), "tanh": ("vectors", lambda x, w, row: lambda: np.tanh(x)),
        "sum": ("vectors", lambda x, w, row: lambda: x.sum()), "sum_rows": ("rows", lambda x, w, row: lambda: x.sum(1)),
        "sum_columns": ("rows", lambda x, w, row: lambda: x.sum(0)), "softmax": ("rows", lambda x, w, row: lambda: softmax(x)),
        "matmul": ("squares", lambda x, w, row: lambda: x @ w), "matmul_batch": ("batch", lambda x, w, row: lambda: x @ w),
        "expr_relu": ("vectors", lambda x, w, row: lambda: relu(x, w)), "expr_chain": ("vectors", lambda x, w, row: lambda: chain(x, w)),
        "expr_squares": ("vectors", lambda x, w, row: lambda: (x * x).sum()),
        "expr_error": ("vectors", lambda x, w, row: lambda: ((x - w) * (x - w)).mean()),
        "expr_softmax": ("rows", lambda x, w, row: lambda: softmax(x)), "expr_gate": ("vectors", lambda x, w, row: lambda: gate(x, w)),
        "expr_linear": ("squares", lambda x, w, row: lambda: np.maximum(x @ w + row, 0)),
        "expr_eval": ("vectors", lambda x, w, row: lambda: np.maximum(x * w + x, 0)),
    }


def with_torch(elements, threads):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    flats = [torch.randn(elements) for _ in range(2)]

    def softmax(x):
        powers = torch.exp(x - x.max(-1, keepdim=True).values)
        return powers / powers.sum(-1, keepdim=True)

    def gate(x, w):
        s = torch.sigmoid(x * w)
        return s * (1 - s) + s

    def relu(x, w):
        return torch.relu(x * w + x)

    def conv2d(x, w):
        return torch.nn.functional.conv2d(x, w, padding=w.shape[-1] // 2)

    return flats, {
        "pow": ("vectors", lambda x, w, row: power(torch.exp(x), w)), "transpose": ("squares", lambda x, w, row: lambda: x.t().contiguous()),
        "add": ("vectors", lambda x, w, row: lambda: x + w), "add_row": ("rows", lambda x, w, row: lambda: x + row),
        "exp": ("vectors", lambda x, w, row: lambda: torch.exp(x)), "tanh": ("vectors", lambda x, w, row: lambda: torch.tanh(x)),
        "sum": ("vectors", lambda x, w, row: lambda: x.sum()), "sum_rows": ("rows", lambda x, w, row: lambda: x.sum(1)),
        "sum_columns": ("rows", lambda x, w, row: lambda: x.sum(0)), "softmax": ("rows", lambda x, w, row: lambda: torch.softmax(x, -1)),
        "matmul": ("squares", lambda x, w, row: lambda: x @ w), "matmul_batch": ("batch", lambda x, w, row: lambda: x @ w),
        "conv2d_3": ("images 3", lambda x, w, row: lambda: conv2d(x, w)), "conv2d_1": ("images 1", lambda x, w, row: lambda: conv2d(x, w)),
        "expr_relu": ("vectors", lambda x, w, row: lambda: relu(x, w)), "expr_chain": ("vectors", lambda x, w, row: lambda: chain(x, w)),
        "expr_squares": ("vectors", lambda x, w, row: lambda: (x * x).sum()),
        "expr_error": ("vectors", lambda x, w, row: lambda: ((x - w) * (x - w)).mean()),
        "expr_softmax": ("rows", lambda x, w, row: lambda: softmax(x)), "expr_gate": ("vectors", lambda x, w, row: lambda: gate(x, w)),
        "expr_linear": ("squares", lambda x, w, row: lambda: torch.relu(torch.addmm(row, x, w))),
        "expr_eval": ("vectors", lambda x, w, row: lambda: torch.relu(x * w + x)),
    }


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    points = [(name, *map(int, numbers)) for name, *numbers in (text.split(":") for text in sys.argv[3].split())]
    largest = max(64 * 64 * 9, *(elements for _, elements, _, _ in points))
    try:
        flats, work = with_numpy(largest) if library == "numpy" else with_torch(largest, threads)
    except ImportError:
        sys.exit(77)
    for name, elements, rounds, milliseconds in points:
        if name not in work:
            print("-", flush=True)
            continue
        operands, make = work[name]
        x, w = (flat[:math.prod(shape)].reshape(shape) for flat, shape in zip(flats, shapes(operands, elements)))
        row = flats[1][:x.shape[-1]]
        print("%.1f" % median(make(x, w, row), rounds, milliseconds / 1000), flush=True)


main()
