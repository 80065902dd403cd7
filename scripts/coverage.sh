#!/bin/bash
# Runs the tests with counted lines and fails when fewer than the wanted share of the lines of src/memory were run.
# Usage: scripts/coverage.sh [PERCENT]        (default 95)
set -euo pipefail
cd "$(dirname "$0")/.."

percent=${1:-95}
scripts/build.sh coverage
find build/coverage -name '*.gcda' -delete
ctest --preset coverage -j "${JOBS:-$(nproc)}"
gcovr --root . --object-directory build/coverage --filter 'src/' --exclude-unreachable-branches \
    --html-details build/coverage/report.html --print-summary build/coverage >build/coverage/all.txt
cat build/coverage/all.txt
gcovr --root . --object-directory build/coverage --filter 'src/memory/' --fail-under-line "$percent" build/coverage
