#!/bin/bash
# Runs a test program whose OpenCL is Oclgrind (TARN_OPENCL), and fails when Oclgrind has anything to report. Usage: oclgrind.sh PROGRAM
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
OCLGRIND_LOG=$log OCLGRIND_DATA_RACES=1 OCLGRIND_CHECK_API=1 "$1"
if [ -s "$log" ]; then
    echo "Oclgrind reports:"
    head -60 "$log"
    exit 1
fi
