#!/bin/bash
# Configures and builds one preset of CMakePresets.json. Usage: scripts/build.sh PRESET
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:?which preset?}
# The files that count lines name the folder in which they were made.
if [ "$preset" != coverage ]; then source scripts/compiler-cache.sh; fi
# The configuring is of interest only when it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
cmake --build --preset "$preset" -j "${JOBS:-$(nproc)}"
