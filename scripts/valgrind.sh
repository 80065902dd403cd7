#!/bin/bash
# Runs all test programs written in C under valgrind; any error or lost block fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh debug
# The folder is not a ctest build of its own, so the programs are run directly.
export TARN_SHARED_DATA=$PWD/../shared/data TARN_SOURCE_DIR=$PWD TARN_BUILD_DIR=$PWD/build/debug
export TARN_TOOL=$PWD/build/debug/tarn TARN_RECORDER=$PWD/build/debug/libtarn-record.so
# What only takes longer is done less often.
export TARN_TEST_SLOWNESS=20
# A test that needs more of the system than valgrind bears leaves it out, and says so.
export TARN_TEST_ON_VALGRIND=1
mkdir -p build/valgrind
run() {
    local log=build/valgrind/$(basename "$1").log forks=()
    case $1 in */test_hal_graph_faults | */test_hal_process | */test_memory_threads) forks=(--suppressions=scripts/valgrind-forks.supp) ;; esac
    if valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
        --num-callers=40 "${forks[@]}" --error-exitcode=99 --child-silent-after-fork=yes "$1" >"$log" 2>&1; then
        echo "passed $1"
    else
        echo "FAILED $1"
        tail -40 "$log"
        return 1
    fi
}
export -f run
# Left out: what writes where it must not on purpose, which guard tells valgrind of.
find build/debug/tests -maxdepth 1 -type f -perm -u+x -name 'test_*' ! -name test_memory_guard | sort |
    xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'run {}'
