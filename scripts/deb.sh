#!/bin/bash
# Builds the Debian packages into build/deb/packages.
set -euo pipefail
cd "$(dirname "$0")/.."

cmake -S . -B build/deb -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
    -DTARN_PACKAGE=ON -DTARN_BUILD_TESTS=OFF >/dev/null
cmake --build build/deb -j "${JOBS:-$(nproc)}"
(cd build/deb && cpack >/dev/null)
ls build/deb/packages/*.deb
