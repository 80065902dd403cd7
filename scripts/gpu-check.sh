#!/bin/bash
# Checks and measures Tarn on this machine's NVIDIA GPU, cuda:0: the build, all tests that run on a named device, the kernels under
# compute-sanitizer, and figures beside cuBLASLt, the speed of copies, the driver's pools and PyTorch, where these are installed. Needs no network and
# takes at most 8 minutes. The table it ends with is build/gpu-check/result.txt, and the same as JSON result.json.
# Usage: scripts/gpu-check.sh       Exit status: 0 all passed, 1 something failed, 77 there is no GPU and nothing was checked on one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

out=$PWD/build/gpu-check
rows=$out/rows.tsv
deadline=$((SECONDS + 480))
mkdir -p "$out"
: >"$rows"
failed=0

row() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$rows"; }

# Runs a step for at most so many seconds, and no longer than the whole has left.
step() {
    local name=$1 limit=$2 start=$SECONDS log=$out/$1.log left=$((deadline - SECONDS)) status
    shift 2
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$limit" -le 0 ]; then
        row "$name" - "not run: the eight minutes were over"
        failed=1
        return 1
    fi
    timeout "$limit" "$@" >"$log" 2>&1
    status=$?
    if [ $status = 0 ]; then
        row "$name" passed "$((SECONDS - start)) s"
    else
        row "$name" FAILED "status $status after $((SECONDS - start)) s, $log"
        failed=1
    fi
    return $status
}

skip() { row "$1" - "not run: $2"; }

# What is measured is optimized, and has the tests' programs; kernels are compiled by the driver for the GPU that there is.
build() {
    scripts/build.sh debug &&
        cmake --preset release -B build/gpu-check/release -DTARN_BUILD_TESTS=ON -DTARN_CUDA_ARCHITECTURES=ptx &&
        cmake --build build/gpu-check/release -j "${JOBS:-$(nproc)}" --target gpu_measure tarn || return 1
    # Built where there is what it needs.
    if cmake --build build/gpu-check/release --target help | grep -q tarn_torch; then
        cmake --build build/gpu-check/release -j "${JOBS:-$(nproc)}" --target tarn_torch
    fi
}
export -f build

# The first device that the library finds.
find_gpu() { build/debug/tarn devices | awk '$1 == "cuda:0" { sub(/^ *cuda:0 +cuda +/, ""); sub(/   .*/, ""); print }'; }

no_gpu() {
    echo "gpu-check: there is no NVIDIA GPU here: $1"
    echo "gpu-check: nothing has been verified on a GPU."
    exit 77
}

run_tests() {
    local program status=0
    for program in "$@"; do
        echo "== $program"
        timeout 120 "$program" 2>&1 || { status=1 && echo "== FAILED: $program"; }
    done
    return $status
}
export -f run_tests

[ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || no_gpu "neither /dev/nvidiactl nor /dev/dxg is there"
step build 300 bash -c build || { cat "$out/build.log"; exit 1; }
gpu=$(find_gpu)
[ -n "$gpu" ] || no_gpu "$(build/debug/tarn devices | grep -o 'unavailable: .*' | head -1)"
case $gpu in *"no hardware"*) no_gpu "libcuda.so.1 is the fake driver of the tests" ;; esac
echo "gpu-check: $gpu"

export TARN_TEST_DEVICE=cuda:0
tests=build/debug/tests
step tests-backend 120 bash -c "run_tests $tests/test_cuda_*"
step tests-allocators 120 bash -c "run_tests $(printf "$tests/test_memory_%s " contract lifetime streams limits statistics arena pool addresses hand_over)"
step tests-operations 120 bash -c "run_tests $tests/test_tensor_operation_* $tests/test_expr_*"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        step "$tool" 120 bash -c "for test in $tests/test_tensor_operation_elementwise $tests/test_tensor_operation_reduce $tests/test_tensor_operation_neural; do
            compute-sanitizer --tool $tool --error-exitcode 9 \$test || exit 1; done"
    done
else
    skip memcheck "compute-sanitizer is not installed"
    skip racecheck "compute-sanitizer is not installed"
fi
if step figures 90 build/gpu-check/release/tests/gpu/gpu_measure cuda:0; then cat "$out/figures.log" >>"$rows"; fi
if python3 -c 'import torch; raise SystemExit(not torch.cuda.is_available())' 2>/dev/null; then
    step pytorch-operations 60 python3 scripts/gpu_pytorch.py && cat "$out/pytorch-operations.log" >>"$rows"
    step pytorch-training 120 env TARN_LIBRARY="$PWD/build/gpu-check/release/libtarn.so" \
        TARN_TORCH_LIBRARY="$PWD/build/gpu-check/release/libtarn-torch.so" PYTHONPATH="$PWD/python" \
        python3 tools/torch/compare.py --steps 40 --rounds 2 --json "$out/training.json"
else
    skip pytorch "PyTorch with CUDA is not installed"
fi

{
    echo "GPU: $gpu"
    echo "Driver: $(head -1 /proc/driver/nvidia/version 2>/dev/null)"
    echo "Commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d)"
    echo
    awk -F'\t' '{ printf "%-52s %12s  %s\n", $1, $2, $3 }' "$rows"
} | tee "$out/result.txt"
python3 - "$rows" "$gpu" >"$out/result.json" <<'PYTHON'
import json, sys
rows = [line.rstrip("\n").split("\t") for line in open(sys.argv[1], encoding="utf-8")]
json.dump({"gpu": sys.argv[2], "rows": [dict(zip(("name", "value", "note"), row)) for row in rows]}, sys.stdout, indent=1, ensure_ascii=False)
PYTHON
[ $failed = 0 ]
