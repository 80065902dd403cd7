#!/bin/bash
# Runs the tests of base, hardware layer, memory and traces under valgrind; any error or lost block fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh debug
# The folder is not a ctest build of its own, so the programs are run directly.
export TARN_SHARED_DATA=$PWD/../shared/data TARN_SOURCE_DIR=$PWD TARN_BUILD_DIR=$PWD/build/debug
export TARN_TOOL=$PWD/build/debug/tarn TARN_RECORDER=$PWD/build/debug/libtarn-record.so
# What only takes longer is done less often.
export TARN_TEST_SLOWNESS=20
mkdir -p build/valgrind
run() {
    local log=build/valgrind/$(basename "$1").log
    if valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
        --error-exitcode=99 --child-silent-after-fork=yes "$1" >"$log" 2>&1; then
        echo "passed $1"
    else
        echo "FAILED $1"
        tail -40 "$log"
        return 1
    fi
}
export -f run
# Left out: programs whose children or limits of mappings valgrind does not bear, and those that reserve, stream by stream, more
# addresses than valgrind has (128 GiB); the sanitizers run them.
skipped='test_hal_(process|cpu)|test_memory_(contract|lifetime|limits|stress|threads)'
find build/debug/tests -maxdepth 1 -type f -perm -u+x \
    \( -name 'test_base_*' -o -name 'test_memory_*' -o -name 'test_trace_*' -o -name 'test_hal_*' \) | sort | grep -vE "/($skipped)\$" |
    xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'run {}'
