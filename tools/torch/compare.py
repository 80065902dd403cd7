#!/usr/bin/env python3
"""Trains a small transformer on random tokens with PyTorch's own allocator, with its expandable segments, and with Tarn, and compares
step time and reserved memory. Each runs in a process of its own, in turns. Needs PyTorch and a GPU of NVIDIA's.

    tools/torch/compare.py [--steps N] [--rounds N] [--json FILE] [--dry-run]

Lengths of sequences vary from step to step, by a seed that is the same for all. A dry run goes the same way with a smaller model on the processor,
where nothing that it prints means anything: it shows that the script works with the PyTorch that is there.
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


def reserved_bytes(kind, device):
    import torch
    if device == "cpu":
        return 0, 0
    if kind != "tarn":
        return torch.cuda.memory_reserved(0), torch.cuda.max_memory_reserved(0)
    import tarn.torch
    figure = tarn.torch.allocator(0).stats()["reserved_bytes"]
    return figure["current"], figure["peak"]


# What is trained on a GPU, and in a dry run.
SIZES = {"cuda": {"width": 512, "layers": 6, "words": 8192, "sequences": 16, "longest": 768},
         "cpu": {"width": 32, "layers": 1, "words": 64, "sequences": 2, "longest": 80}}


def make_model(torch, width, layers, words):
    layer = torch.nn.TransformerEncoderLayer(width, 8, 4 * width, batch_first=True, dropout=0.0)
    return torch.nn.ModuleList([torch.nn.Embedding(words, width), torch.nn.TransformerEncoder(layer, layers),
                                torch.nn.Linear(width, words)])


def train(kind, steps, device):
    """Runs in the process that is measured; prints one line of JSON."""
    import torch
    installed = None
    # A dry run does with a PyTorch that has no CUDA.
    if kind == "tarn" and (device == "cuda" or torch.version.cuda is not None):
        import tarn.torch
        installed = tarn.torch.install()
    torch.manual_seed(1)
    lengths = random.Random(1)
    sizes = SIZES[device]
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    embedding, encoder, head = model = make_model(torch, sizes["width"], sizes["layers"], sizes["words"]).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    times, losses = [], []
    for _ in range(steps):
        length = lengths.randrange(64, sizes["longest"])
        tokens = torch.randint(0, sizes["words"], (sizes["sequences"], length), device=device)
        finish()
        begin = time.perf_counter()
        result = head(encoder(embedding(tokens)))
        loss = torch.nn.functional.cross_entropy(result.flatten(0, 1), tokens.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        finish()
        times.append(time.perf_counter() - begin)
        losses.append(loss.item())
    current, peak = reserved_bytes(kind, device)
    warm = times[len(times) // 4:]
    print(json.dumps({"kind": kind, "installed": installed, "step_ms": 1000 * statistics.median(warm), "reserved": current, "reserved_peak": peak,
                      "loss": losses[-1], "device": torch.cuda.get_device_name(0) if device == "cuda" else device, "pytorch": torch.__version__}))


def run(kind, steps, is_dry):
    done = subprocess.run([sys.executable, __file__, "--train", kind, "--steps", str(steps)] + ["--dry-run"] * is_dry, text=True, stdout=subprocess.PIPE,
                          env={**os.environ, **KINDS[kind]})
    if done.returncode != 0:
        sys.exit("compare.py: the run with %s failed, for the reason above" % kind)
    return json.loads(done.stdout.strip().splitlines()[-1])


def check_machine(is_dry):
    try:
        import torch
    except ImportError:
        sys.exit("compare.py: there is no PyTorch here")
    if not is_dry and not torch.cuda.is_available():
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
    parser.add_argument("--dry-run", action="store_true", help="on the processor, with a small model: measures nothing")
    parser.add_argument("--train", choices=sorted(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.steps, "cpu" if options.dry_run else "cuda")
        return
    check_machine(options.dry_run)
    results = [run(kind, options.steps, options.dry_run) for _ in range(options.rounds) for kind in KINDS]
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
