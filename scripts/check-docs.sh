#!/bin/bash
# Makes the reference manual from the public headers, in build/docs, and fails on any warning.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/docs
PROJECT_NUMBER=$(sed -nE 's/^project\(tarn VERSION ([0-9.]+).*/\1/p' CMakeLists.txt) doxygen docs/Doxyfile
echo "build/docs/html/index.html"
