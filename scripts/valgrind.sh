#!/bin/bash
# Runs all test programs written in C under valgrind; any error or lost block fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh valgrind
build=build/valgrind
logs=$build/logs
# ctest would run the programs without valgrind, so they are run directly.
export TARN_SHARED_DATA=$PWD/../shared/data TARN_SOURCE_DIR=$PWD TARN_BUILD_DIR=$PWD/$build
export TARN_TOOL=$PWD/$build/tarn TARN_RECORDER=$PWD/$build/libtarn-record.so
# What only takes longer is done less often.
export TARN_TEST_SLOWNESS=20
# A test that needs more of the system than valgrind bears leaves it out, and says so.
export TARN_TEST_ON_VALGRIND=1
# oneDNN compiles code that valgrind cannot read, and so does OpenCL's driver, which takes a second to load.
export TARN_ONEDNN=off TARN_OPENCL=off
rm -rf "$logs"
mkdir -p "$logs"
export logs
run() {
    local log=$logs/$(basename "$1").log start=$SECONDS
    if valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
        --num-callers=24 --read-inline-info=no --error-exitcode=99 --child-silent-after-fork=yes "$1" >"$log" 2>&1; then
        echo "passed $1 in $((SECONDS - start)) s"
    else
        echo "FAILED $1 in $((SECONDS - start)) s"
        tail -40 "$log"
        return 1
    fi
}
export -f run
# The longest first: tests/longest.txt calls ROOM.NAME what is test_ROOM_NAME here.
{
    sed -n "/^#/d; /^plan.large$/d; s#^\([a-z]*\)\.\(.*\)#$build/tests/test_\1_\2#p" tests/longest.txt
    # OpenCL's drivers compile code for this very processor, which valgrind cannot read either. What large plans and moves run for most of a
    # minute, other tests of these rooms run on less.
    find $build/tests -maxdepth 1 -type f -perm -u+x -name 'test_*' ! -name 'test_opencl_*' ! -name test_plan_large ! -name test_cpu_moves | sort
} | awk '!seen[$0]++' | while read -r program; do [ ! -x "$program" ] || echo "$program"; done |
    xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'run {}'
