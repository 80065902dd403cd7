#!/bin/bash
# Rehearses scripts/gpu-check.sh on the tests' own driver, with a compute-sanitizer that only runs what it is given: each of its steps is done once, its
# table and its JSON say so, what there is no time for is named, and where there is no GPU it says that and nothing else.
# Usage: tests/gpu/rehearse.sh BUILD
set -euo pipefail
build=$(realpath "$1")
check=$(dirname "$(realpath "$0")")/../../scripts/gpu-check.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GPU_CHECK_OUT=$folder/out

fail() {
    echo "rehearse.sh: $1"
    cat "$folder/said" "$GPU_CHECK_OUT"/*.log
    exit 1
}

mkdir "$folder/bin"
cat >"$folder/bin/compute-sanitizer" <<'PROGRAM'
#!/bin/bash
case "$*" in
"--error-exitcode 9 /"*) shift 2 ;;
"--tool memcheck --error-exitcode 9 --report-api-errors no /"*) shift 6 ;;
"--tool racecheck --error-exitcode 9 /"*) shift 4 ;;
*) exit 1 ;;
esac
exec "$@"
PROGRAM
chmod +x "$folder/bin/compute-sanitizer"

PATH=$folder/bin:$PATH "$check" --rehearse "$build" >"$folder/said" 2>&1 || fail "a rehearsal fails"
for step in figures tests-backend tests-operations tests-own-kernels tests-allocators memcheck racecheck; do
    grep -q "^$step  *passed" "$GPU_CHECK_OUT/result.txt" || fail "$step is not named as passed"
done
python3 - "$GPU_CHECK_OUT/result.json" <<'PYTHON' || fail "the JSON is not what it should be"
import json, sys
result = json.load(open(sys.argv[1], encoding="utf-8"))
rows = {row["name"]: row for row in result["rows"]}
assert rows["calls of the driver by a hit on its own stream"]["value"] == 0
assert rows["add, F32, 0.03125 MiB"]["target"] == "at least 0.93"
assert rows["pytorch"]["verdict"] == "skipped" and rows["tests-backend"]["verdict"] == "passed"
PYTHON

# Figures that are measured before something fails are not lost.
status=0
FAKECUDA_FAULT=cuMemCreate:40:CUDA_ERROR_UNKNOWN:for-good "$check" --rehearse "$build" >"$folder/said" 2>&1 || status=$?
[ $status = 1 ] || fail "where measuring fails the status is $status"
grep -q '^figures .*FAILED' "$GPU_CHECK_OUT/result.txt" || fail "figures that failed are not named so"
grep -q '^copy on the device' "$GPU_CHECK_OUT/result.txt" || fail "figures from before the failure are lost"
for step in pytorch tests-backend tests-operations tests-own-kernels tests-allocators memcheck racecheck; do
    grep -q "^$step " "$GPU_CHECK_OUT/result.txt" || fail "a failure keeps $step from being done"
done

status=0
GPU_CHECK_SECONDS=0 "$check" --rehearse "$build" >"$folder/said" 2>&1 || status=$?
[ $status = 1 ] || fail "without any time the status is $status"
grep -q '^figures .*skipped' "$GPU_CHECK_OUT/result.txt" || fail "figures that there was no time for are not named as skipped"
grep -q 'no time for: test_cuda_backend' "$GPU_CHECK_OUT/result.txt" || fail "tests that there was no time for are not named"

[ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || {
    status=0
    "$check" >"$folder/said" 2>&1 || status=$?
    [ $status = 77 ] || fail "without a GPU the status is $status"
    grep -q 'nothing has been verified on a GPU' "$folder/said" || fail "it does not say that there is no GPU"

    # Where a GPU may be there and nothing can be built, that is what the table says.
    for program in nvidia-smi cmake; do
        cat >"$folder/bin/$program" <<'PROGRAM'
#!/bin/bash
[ "$1" = -L ]
PROGRAM
        chmod +x "$folder/bin/$program"
    done
    status=0
    PATH=$folder/bin:$PATH "$check" >"$folder/said" 2>&1 || status=$?
    [ $status = 1 ] || fail "where nothing can be built the status is $status"
    grep -q '^build .*FAILED' "$GPU_CHECK_OUT/result.txt" || fail "a build that failed is not named so"
    grep -q '^memcheck .*skipped' "$GPU_CHECK_OUT/result.txt" || fail "what was not built is not named as skipped"
    python3 -c 'import json, sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$GPU_CHECK_OUT/result.json" || fail "there is no JSON of a build that failed"
}
status=0
"$check" --built "$folder/none" >"$folder/said" 2>&1 || status=$?
[ $status = 1 ] || fail "a build that is not there has the status $status"
echo "gpu-check.sh: rehearsed"
