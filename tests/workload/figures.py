#!/usr/bin/env python3
"""Every workload gives the figures on a device that it gives on the cpu, but for rounding, and a recorded trace replays there.

TARN_TOOL names the command, TARN_TEST_DEVICE the device. Uses nothing but Python's standard library.
"""
import json
import math
import os
import subprocess
import sys

NOTHING_TO_TEST = 77
DEVICE = os.environ["TARN_TEST_DEVICE"]
# Of a figure, which is a sum or a mean of many floats of 24 bits.
TOLERANCE = 1e-5


RUNS = (["training"], ["training", "--graph"], ["transformer"], ["convolution"], ["expressions"])


def figures(run, device):
    run = subprocess.run([os.environ["TARN_TOOL"], "run", *run, "--device", device, "--steps", "2", "--json"],
                         stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)["figures"]


def replayed(device):
    """The bytes that were live at most, for each allocator; -1 where an allocation failed."""
    trace = os.path.join(os.environ["TARN_SOURCE_DIR"], "traces", "gcc-compile.tarn")
    run = subprocess.run([os.environ["TARN_TOOL"], "replay", trace, "--device", device, "--json"],
                         stdout=subprocess.PIPE, text=True, check=True)
    return {result["allocator"]: -1 if result["failed_allocations"] else result["peak_live_bytes"]
            for result in json.loads(run.stdout)["results"]}


def main():
    devices = subprocess.run([os.environ["TARN_TOOL"], "devices", "--json"], capture_output=True, text=True, check=True).stdout
    if f'"{DEVICE}"' not in devices:
        print(f"nothing is tested: there is no {DEVICE}")
        return NOTHING_TO_TEST
    wrong = 0
    for run in RUNS:
        wanted, found = figures(run, "cpu"), figures(run, DEVICE)
        agree = len(wanted) == len(found) and all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(wanted, found))
        print(f"{' '.join(run)}: {wanted} on cpu, {found} on {DEVICE}")
        wrong += not agree
    wanted, found = replayed("sim:2GiB"), replayed(DEVICE)
    print(f"replay: {wanted} on sim, {found} on {DEVICE}")
    wrong += wanted != found
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
