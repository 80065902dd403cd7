#!/bin/bash
# Builds the Debian packages into build/deb/packages.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/compiler-cache.sh
cmake --preset release -B build/deb -DCMAKE_INSTALL_PREFIX=/usr -DTARN_PACKAGE=ON >/dev/null
cmake --build build/deb -j "${JOBS:-$(nproc)}"
(cd build/deb && cpack >/dev/null)
ls build/deb/packages/*.deb
