#!/usr/bin/env python3
"""PyTorch's own figures on the GPU, in the form of tests/gpu/measure.c: allocating, passes over memory, matrix products.

With --training FILE, what tools/torch/compare.py wrote, beside its targets; that needs no GPU.
"""

import json
import statistics
import sys
import time


def device_seconds(work, repeats=10, rounds=7):
    work()
    best = float("inf")
    for _ in range(rounds):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(repeats):
            work()
        end.record()
        end.synchronize()
        best = min(best, begin.elapsed_time(end) / 1e3 / repeats)
    return best


def say(name, value, unit):
    print(f"PyTorch, {name}\t{value:.4g}\t{unit}\t-\t-", flush=True)


def judge(name, value, unit, most):
    print(f"{name}\t{value:.4g}\t{unit}\tat most {most:g}\t{'met' if value <= most else 'SHORT'}", flush=True)


def training(path):
    """Tarn's step time and reserved memory as multiples of those of each of PyTorch's own allocators."""
    with open(path, encoding="utf-8") as file:
        results = json.load(file)

    def middle(kind, key):
        return statistics.median(result[key] for result in results if result["kind"] == kind)

    for kind in sorted({result["kind"] for result in results} - {"tarn"}):
        judge(f"training, step time to {kind}'s", middle("tarn", "step_ms") / middle(kind, "step_ms"), "times", 1)
        judge(f"training, reserved at most to {kind}'s", middle("tarn", "reserved_peak") / middle(kind, "reserved_peak"), "times", 1)


def main():
    global torch
    if len(sys.argv) == 3 and sys.argv[1] == "--training":
        training(sys.argv[2])
        return
    import torch
    size = 256 << 20
    a = torch.zeros(size // 4096, 1024, device="cuda")
    b = torch.zeros_like(a)
    result = torch.empty_like(a)
    ceiling = 2 * size / device_seconds(lambda: result.copy_(a))
    say("copy on the device, read and written", ceiling / 1e9, "GB/s")
    for name, work, passes in (("add, F32", lambda: torch.add(a, b, out=result), 3),
                               ("tanh, F32", lambda: torch.tanh(a, out=result), 2),
                               ("sum of rows, F32", lambda: a.sum(1), 1),
                               ("softmax of rows, F32", lambda: torch.softmax(a, 1, out=result), 2)):
        say(name, passes * size / device_seconds(work) / ceiling, "of the copy's speed")
    for kind, text in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
        torch.backends.cuda.matmul.allow_tf32 = False
        x = torch.randn(8192, 8192, device="cuda", dtype=kind)
        y = torch.empty_like(x)
        say(f"matmul, 8192, {text}", 2 * 8192**3 / device_seconds(lambda: torch.matmul(x, x, out=y)) / 1e12, "TFLOP/s")
    allocate, free = torch.cuda.caching_allocator_alloc, torch.cuda.caching_allocator_delete
    begin = time.perf_counter()
    for _ in range(20000):
        free(allocate(4096))
    say("an allocation and its free, Python included", (time.perf_counter() - begin) / 20000 * 1e9, "ns")


main()
