#!/usr/bin/env python3
"""Every workload gives the figures on an OpenCL device that it gives on the cpu, but for rounding.

TARN_TOOL names the command. Uses nothing but Python's standard library.
"""
import json
import math
import os
import subprocess
import sys

NOTHING_TO_TEST = 77
DEVICE = "opencl:0"
# Of a figure, which is a sum or a mean of many floats of 24 bits.
TOLERANCE = 1e-5


def figures(workload, device):
    run = subprocess.run([os.environ["TARN_TOOL"], "run", workload, "--device", device, "--steps", "2", "--json"],
                         stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)["figures"]


def main():
    devices = subprocess.run([os.environ["TARN_TOOL"], "devices", "--json"], capture_output=True, text=True, check=True).stdout
    if f'"{DEVICE}"' not in devices:
        print(f"nothing is tested: there is no {DEVICE}")
        return NOTHING_TO_TEST
    wrong = 0
    for workload in ("training", "transformer", "convolution", "expressions"):
        wanted, found = figures(workload, "cpu"), figures(workload, DEVICE)
        agree = len(wanted) == len(found) and all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(wanted, found))
        print(f"{workload}: {wanted} on cpu, {found} on {DEVICE}")
        wrong += not agree
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
