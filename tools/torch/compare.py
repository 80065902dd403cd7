#!/usr/bin/env python3
"""Trains a small transformer on random tokens with PyTorch's own allocator, with its expandable segments, and with Tarn, and compares
step time and reserved memory. Each runs in a process of its own, in turns. Needs PyTorch and a GPU of NVIDIA's.

    tools/torch/compare.py [--steps N] [--rounds N] [--json FILE]

Lengths of sequences vary from step to step, by a seed that is the same for all.
"""

import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time

KINDS = {
    "pytorch": {},
    "pytorch-expandable": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "PYTORCH_ALLOC_CONF": "expandable_segments:True"},
    "tarn": {},
}


def reserved_bytes(kind):
    import torch
    if kind != "tarn":
        return torch.cuda.memory_reserved(0), torch.cuda.max_memory_reserved(0)
    import tarn.torch
    figure = tarn.torch.allocator(0).stats()["reserved_bytes"]
    return figure["current"], figure["peak"]


def make_model(torch, width=512, layers=6, heads=8, words=8192):
    layer = torch.nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True, dropout=0.0)
    return torch.nn.ModuleList([torch.nn.Embedding(words, width), torch.nn.TransformerEncoder(layer, layers),
                                torch.nn.Linear(width, words)])


def train(kind, steps):
    """Runs in the process that is measured; prints one line of JSON."""
    installed = None
    if kind == "tarn":
        import tarn.torch
        installed = tarn.torch.install()
    import torch
    torch.manual_seed(1)
    lengths = random.Random(1)
    embedding, encoder, head = model = make_model(torch).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    times, losses = [], []
    for _ in range(steps):
        length = lengths.randrange(64, 768)
        tokens = torch.randint(0, 8192, (16, length), device="cuda")
        torch.cuda.synchronize()
        begin = time.perf_counter()
        result = head(encoder(embedding(tokens)))
        loss = torch.nn.functional.cross_entropy(result.flatten(0, 1), tokens.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
        losses.append(loss.item())
    current, peak = reserved_bytes(kind)
    warm = times[len(times) // 4:]
    print(json.dumps({"kind": kind, "installed": installed, "step_ms": 1000 * statistics.median(warm), "reserved": current, "reserved_peak": peak,
                      "loss": losses[-1], "device": torch.cuda.get_device_name(0), "pytorch": torch.__version__}))


def run(kind, steps):
    done = subprocess.run([sys.executable, __file__, "--train", kind, "--steps", str(steps)], text=True, stdout=subprocess.PIPE,
                          env={**os.environ, **KINDS[kind]})
    if done.returncode != 0:
        sys.exit("compare.py: the run with %s failed, for the reason above" % kind)
    return json.loads(done.stdout.strip().splitlines()[-1])


def check_machine():
    try:
        import torch
    except ImportError:
        sys.exit("compare.py: there is no PyTorch here")
    if not torch.cuda.is_available():
        sys.exit("compare.py: PyTorch %s sees no GPU here; nothing was measured" % torch.__version__)
    try:
        import tarn.torch
        ctypes.CDLL(tarn.torch.plugin_path())
    except (ImportError, OSError) as error:
        sys.exit("compare.py: Tarn's plug-in is not to be had (PYTHONPATH, TARN_LIBRARY and TARN_TORCH_LIBRARY name it): %s" % error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="a file for all results")
    parser.add_argument("--train", choices=sorted(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.steps)
        return
    check_machine()
    results = [run(kind, options.steps) for _ in range(options.rounds) for kind in KINDS]
    print("%-20s %12s %16s %10s" % ("allocator", "step [ms]", "reserved [MiB]", "loss"))
    for kind in KINDS:
        mine = [result for result in results if result["kind"] == kind]
        print("%-20s %12.2f %16.0f %10.4f" % (kind, statistics.median(result["step_ms"] for result in mine),
                                              max(result["reserved_peak"] for result in mine) / 2**20, mine[0]["loss"]))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
