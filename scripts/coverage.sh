#!/bin/bash
# Runs the tests with counted lines and fails when fewer than the wanted share of the lines of src/memory were run.
# Usage: scripts/coverage.sh [PERCENT]        (default 95)
set -euo pipefail
cd "$(dirname "$0")/.."

percent=${1:-95}
scripts/build.sh coverage
find build/coverage -name '*.gcda' -delete
# A line is counted as well when it is run a thousand times as when it is run a million times; the tests of the benchmarks and of
# the page run none in src/ that others do not.
export TARN_TEST_SLOWNESS=10
ctest --preset coverage -j "${JOBS:-$(nproc)}" --exclude-regex '^tool\.(bench|page)$'
gcovr --root . --object-directory build/coverage --filter 'src/' --exclude-unreachable-branches \
    --html-details build/coverage/report.html --print-summary build/coverage >build/coverage/all.txt
cat build/coverage/all.txt
gcovr --root . --object-directory build/coverage --filter 'src/memory/' --fail-under-line "$percent" build/coverage
