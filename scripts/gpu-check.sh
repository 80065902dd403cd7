#!/bin/bash
# Checks and measures Tarn on this machine's NVIDIA GPU, cuda:0: the build, all tests that run on a named device, the kernels under
# compute-sanitizer, and figures beside their targets, cuBLASLt, the speed of copies, the driver's pools and PyTorch, where these are installed. Needs
# no network and takes at most 8 minutes: each step has a limit of its own and leaves time for those behind it, and what there is no time or no
# program for is named as skipped. A step that fails keeps none of the others from being done. What has targets comes first. The table it ends with, however
# it ends, is build/gpu-check/result.txt, and the same as JSON result.json.
# Usage: scripts/gpu-check.sh [--built DIR] [--rehearse DIR]
#   --built DIR      uses the build in DIR, with tests, instead of making one: it was made before, or on another machine.
#   --rehearse DIR   the same, quickly and on the tests' own driver: shows that the script works, and nothing else. Judges no figure.
# Exit status: 0 all passed, 1 something failed or there was no time for it, 77 there is no GPU and nothing was checked on one.
set -uo pipefail
from=$PWD
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

built='' rehearses=
while [ $# -gt 0 ]; do
    case $1 in
    --built | --rehearse)
        built=$([ $# -gt 1 ] && cd "$from" && cd "$2" 2>/dev/null && [ -d tests ] && pwd) || { echo "gpu-check: $1 needs the folder of a build" >&2; exit 1; }
        [ "$1" = --built ] || rehearses=1
        shift 2 ;;
    *) echo "gpu-check: unknown argument $1" >&2; exit 1 ;;
    esac
done

out=${GPU_CHECK_OUT:-$PWD/build/gpu-check}
# Some seconds of the eight minutes are for what has no limit.
budget=${GPU_CHECK_SECONDS:-470}
debug=${built:-$out/debug} release=${built:-$out/release} tests=${built:-$out/debug}/tests
rows=$out/rows.tsv
failed=0
mkdir -p "$out"
rm -f "$out/figures.out" "$out/pytorch-operations.out"
: >"$rows"

# A name, a number or a word, its unit or a note, the target, and whether it is met.
row() { printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:--}" "${5:--}" >>"$rows"; }
skip() { row "$1" - "$2" - skipped; }
fail() { row "$1" FAILED "$2" - FAILED; failed=1; }

# Seconds that the step may still take: its own limit, or what is left beside the seconds that the steps behind it need at least.
limit_of() {
    local limit=$1 left=$((budget - SECONDS - $2))
    [ "$limit" -le "$left" ] || limit=$left
    echo $((limit > 0 ? limit : 0))
}

# step NAME LIMIT KEPT COMMAND…: a command with a log of its own. What it prints to stdout alone is in NAME.out.
step() {
    local name=$1 start=$SECONDS limit status
    limit=$(limit_of "$2" "$3")
    shift 3
    if [ "$limit" = 0 ]; then
        skip "$name" "the $budget seconds were over"
        failed=1
        return 1
    fi
    echo "gpu-check: $name, at most $limit s" >&2
    timeout -k 5 "$limit" "$@" >"$out/$name.out" 2>"$out/$name.log"
    status=$?
    if [ $status = 0 ]; then row "$name" passed "$((SECONDS - start)) s" - passed
    else fail "$name" "status $status after $((SECONDS - start)) s, $out/$name.log"; fi
    return $status
}

# The rows that a step has printed: all that it had measured by the time it failed, if it did.
add_figures() { [ ! -f "$out/$1.out" ] || cat "$out/$1.out" >>"$rows"; }

# programs NAME LIMIT KEPT COMMAND… -- PROGRAM…: tests, one after the other, within one limit; COMMAND runs each of them.
programs() {
    local name=$1 start=$SECONDS limit left log=$out/$1.log wrapper=() failures=() missing=() unrun=() program passed skipped
    limit=$(limit_of "$2" "$3")
    shift 3
    while [ "$1" != -- ]; do wrapper+=("$1"); shift; done
    shift
    : >"$log"
    echo "gpu-check: $name, at most $limit s" >&2
    for program in "$@"; do
        left=$((limit - (SECONDS - start)))
        if [ ! -x "$tests/$program" ]; then missing+=("$program"); continue; fi
        if [ "$left" -le 0 ]; then unrun+=("$program"); continue; fi
        echo "== $program" >>"$log"
        # One that hangs leaves time for those behind it.
        [ $# -lt 3 ] || [ "$left" -le $((limit / 2)) ] || left=$((limit / 2))
        timeout -k 5 "$left" "${wrapper[@]}" "$tests/$program" >>"$log" 2>&1 || failures+=("$program ($?)")
    done
    passed=$(grep -c '^\[       OK \]' "$log")
    skipped=$(grep -c '^\[  SKIPPED \] [^0-9]' "$log")
    local note="$passed tests passed, $skipped skipped, $((SECONDS - start)) s"
    [ ${#missing[@]} = 0 ] || note+="; not built: ${missing[*]}"
    [ ${#unrun[@]} = 0 ] || note+="; no time for: ${unrun[*]}"
    if [ ${#failures[@]} -gt 0 ]; then fail "$name" "${failures[*]} in $log; $note"
    elif [ ${#unrun[@]} -gt 0 ]; then fail "$name" "$note"
    elif [ "$passed" = 0 ]; then skip "$name" "$note"
    else row "$name" passed "$note" - passed; fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# The table and the JSON, of whatever was done.
write_result() {
    {
        echo "GPU: $gpu"
        echo "Commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d), $SECONDS s"
        echo
        awk -F'\t' '{ printf "%-52s %11s  %-20s %-14s %s\n", $1, $2, $5 == "skipped" || $5 == "passed" || $5 == "FAILED" ? "" : $3, $4, $5 == "-" ? "" : $5
            if ($5 == "skipped" || $5 == "passed" || $5 == "FAILED") printf "    %s\n", $3 }' "$rows"
    } | tee "$out/result.txt"
    awk -F'\t' -v gpu="$gpu" -v seconds="$SECONDS" '
        function text(s) { gsub(/[[:cntrl:]]/, " ", s); gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return "\"" s "\"" }
        BEGIN { printf "{\"gpu\": %s, \"seconds\": %d, \"rows\": [", text(gpu), seconds }
        { sub(/^ +/, "", $1)
          printf "%s\n {\"name\": %s, \"value\": %s, \"note\": %s, \"target\": %s, \"verdict\": %s}", (NR == 1 ? "" : ","), text($1),
              ($2 ~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ ? $2 : ($2 == "-" ? "null" : text($2))), text($3), text($4), text($5) }
        END { print "\n]}" }' "$rows" >"$out/result.json"
}

end() {
    local status=$?
    trap - EXIT
    write_result
    [ "$status" != 0 ] || status=$failed
    exit "$status"
}

interrupt() {
    fail interrupted "by a signal after $SECONDS s"
    exit 1
}

# Says why compute-sanitizer cannot be used: it does not know every device, nor every way of handing one to a container.
why_no_sanitizer() {
    local limit probe=("$release/tests/gpu/gpu_measure" --name)
    has compute-sanitizer || { echo "compute-sanitizer is not installed"; return; }
    limit=$(limit_of 30 10)
    [ "$limit" -gt 0 ] || { echo "the $budget seconds were over"; return; }
    [ -x "${probe[0]}" ] || probe=("$tests/test_cuda_backend")
    timeout -k 5 "$limit" "${with[@]}" compute-sanitizer --error-exitcode 9 "${probe[@]}" >"$out/sanitizer.log" 2>&1 ||
        echo "compute-sanitizer does not run here: $(grep -i -m 1 'error\|not supported' "$out/sanitizer.log" | tr '\t' ' ' || tail -1 "$out/sanitizer.log")"
}

# Its import alone takes long on some machines.
has_torch() {
    local limit
    limit=$(limit_of 60 120)
    has python3 && [ "$limit" -gt 0 ] && timeout -k 5 "$limit" python3 -c 'import torch; raise SystemExit(not torch.cuda.is_available())' >/dev/null 2>&1
}

# build WHAT: what is measured, optimized, or the tests. Kernels are compiled once for both, for the GPU that there is, where its name for that is known.
build() {
    local architecture generator=() options=()
    architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 2>/dev/null | head -1 | tr -d '. ')
    [[ $architecture =~ ^[0-9]+$ ]] || architecture=ptx
    has ninja && generator=(-G Ninja) || generator=(-G 'Unix Makefiles')
    has ccache && options=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    options+=(-DTARN_CUDA_ARCHITECTURES="$architecture" -DTARN_WARNINGS_AS_ERRORS=OFF)
    pkg-config --exists jansson 2>/dev/null || options+=(-DTARN_BUILD_TOOL=OFF)
    if [ "$1" = measured ]; then
        cmake -S . -B "$release" "${generator[@]}" "${options[@]}" -DCMAKE_BUILD_TYPE=Release -DTARN_BUILD_TESTS=OFF -DTARN_BUILD_MEASURE=ON &&
            cmake --build "$release" -j "${JOBS:-$(nproc)}"
    else
        cmake -S . -B "$debug" "${generator[@]}" "${options[@]}" -DCMAKE_BUILD_TYPE=Debug -DTARN_BUILD_TESTS=ON &&
            cmake --build "$debug" -j "${JOBS:-$(nproc)}" --target "${all_programs[@]}"
    fi
}

no_gpu() {
    trap - EXIT
    echo "gpu-check: there is no NVIDIA GPU here: $1"
    echo "gpu-check: nothing has been verified on a GPU."
    exit 77
}

backend_tests=(test_cuda_backend test_cuda_graph test_cuda_peer test_cuda_driver_api test_cuda_library_api test_cuda_unavailable)
allocator_tests=(test_memory_contract test_memory_lifetime test_memory_streams test_memory_limits test_memory_statistics test_memory_arena
    test_memory_pool test_memory_addresses test_memory_hand_over test_memory_stress)
operation_tests=(test_tensor_operation_elementwise test_tensor_operation_reduce test_tensor_operation_neural test_tensor_operation_streams
    test_expr_evaluate test_expr_capture)
kernel_tests=(test_tensor_operation_neural test_tensor_operation_reduce test_tensor_operation_elementwise)
all_programs=("${backend_tests[@]}" "${allocator_tests[@]}" "${operation_tests[@]}" test_cuda_kernels_programs)

# The toolkit's programs and libraries, where they are not found anyway. PyTorch brings its own.
PATH=$PATH:/usr/local/cuda/bin
libraries=${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64
if has python3; then
    for folder in $(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)/nvidia/*/lib; do
        [ ! -d "$folder" ] || libraries+=:$folder
    done
fi

# Whether a GPU may be there, before anything is built for it.
if [ -n "$rehearses" ]; then
    libraries=$built/tests/fakecuda
    gpu="none: a rehearsal on the driver of the tests"
else
    [ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || nvidia-smi -L >/dev/null 2>&1 || no_gpu "neither /dev/nvidiactl nor /dev/dxg is there"
    if [ -z "$built" ]; then
        for program in cmake cc; do has $program || { echo "gpu-check: $program is not installed: build elsewhere and name the folder (--built)" >&2; exit 1; }; done
    fi
    gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader -i 0 2>/dev/null | head -1)
fi
trap end EXIT
trap interrupt HUP INT TERM

if [ -z "$built" ]; then
    export -f build has
    export debug release TARN_CUDA_IMAGES=$out/images
    step build 200 200 bash -c "build measured" || tail -n 40 "$out/build.out" "$out/build.log" >&2
fi
if [ -z "$rehearses" ] && [ -x "$release/tests/gpu/gpu_measure" ]; then
    LD_LIBRARY_PATH=$libraries "$release/tests/gpu/gpu_measure" --name >"$out/device" 2>&1 || no_gpu "$(tail -1 "$out/device")"
    grep -q 'no hardware' "$out/device" && no_gpu "libcuda.so.1 is the driver of the tests"
    gpu=${gpu:-$(cat "$out/device")}
fi
gpu=${gpu:-unknown}
echo "gpu-check: $gpu"

export TARN_TEST_DEVICE=cuda:0 TARN_TEST_KEEPS_CONTEXT=1 TARN_OPENCL=off TARN_CACHE_PATH=$out/cache TARN_SOURCE_DIR=$PWD TARN_BUILD_DIR=$debug TMPDIR=$out
mkdir -p "$TARN_CACHE_PATH"
with=(env "LD_LIBRARY_PATH=$libraries")
own=("${with[@]}" TARN_CUBLASLT=off TARN_CUDNN=off)
slow=("${own[@]}" TARN_TEST_SLOWNESS=20)
size=256
if [ -n "$rehearses" ]; then
    size=1
    with+=("FAKECUDA_KERNELS=$tests/cuda_kernels.so" "TARN_NVRTC=$tests/libnvrtc.so" FAKECUDA_COMPILE=false TARN_CUDA_COMPILE=never "TARN_CUBLASLT=$tests/libcublaslt.so" "TARN_CUDNN=$tests/libcudnn.so")
    own=("${with[@]}" TARN_CUBLASLT=off TARN_CUDNN=off)
    slow=("${own[@]}" TARN_TEST_SLOWNESS=20)
    backend_tests=(test_cuda_backend) allocator_tests=(test_memory_arena) operation_tests=(test_tensor_operation_streams)
    kernel_tests=(test_expr_capture)
fi

# Each step's limit, and the seconds that are kept for those behind it. What has targets comes first.
if [ -x "$release/tests/gpu/gpu_measure" ]; then
    step figures 70 160 "${with[@]}" "$release/tests/gpu/gpu_measure" cuda:0 $size
    add_figures figures
else
    fail figures "gpu_measure was not built"
fi
if [ -z "$rehearses" ] && has_torch; then
    step pytorch-operations 40 120 python3 scripts/gpu_pytorch.py
    add_figures pytorch-operations
    if [ -f "$release/torch/libtarn-torch.so" ]; then
        if step pytorch-training 90 100 env TARN_LIBRARY="$release/libtarn.so" TARN_TORCH_LIBRARY="$release/torch/libtarn-torch.so" PYTHONPATH="$PWD/python" \
            python3 tools/torch/compare.py --steps 30 --rounds 1 --json "$out/training.json"; then
            python3 scripts/gpu_pytorch.py --training "$out/training.json" >>"$rows" || fail pytorch-training "its figures cannot be read"
        fi
    else
        skip pytorch-training "libtarn-torch.so was not built"
    fi
else
    skip pytorch "PyTorch with CUDA is not installed, or there was no time for it"
fi
if [ -z "$built" ] && pkg-config --exists jansson cmocka zlib 2>/dev/null; then
    # An array cannot be exported.
    step build-tests 120 60 bash -c "all_programs=(${all_programs[*]}); build tests" || tail -n 40 "$out/build-tests.out" "$out/build-tests.log" >&2
fi
if [ -z "$rehearses" ] && [ ! -x "$tests/test_cuda_backend" ]; then
    for name in tests-backend tests-operations tests-own-kernels tests-allocators tests-compiled memcheck racecheck; do
        skip $name "the tests were not built: cmocka, jansson or zlib is not installed to build with, or the build failed"
    done
else
    programs tests-backend 40 80 "${with[@]}" -- "${backend_tests[@]}"
    programs tests-operations 60 70 "${with[@]}" -- "${operation_tests[@]}"
    programs tests-own-kernels 40 60 "${own[@]}" -- "${kernel_tests[0]}"
    # What the driver answers is checked by the tests themselves, which ask for errors too: the tool is to look at kernels.
    why=$(why_no_sanitizer)
    for tool in memcheck racecheck; do
        options=(--tool "$tool" --error-exitcode 9)
        [ $tool = racecheck ] || options+=(--report-api-errors no)
        if [ -z "$why" ]; then programs $tool 60 30 "${slow[@]}" compute-sanitizer "${options[@]}" -- "${kernel_tests[@]}"
        else skip $tool "$why"; fi
    done
    # Each step of the last one waits for the device several times.
    programs tests-allocators 90 20 "${with[@]}" TARN_STRESS_STEPS=300 -- "${allocator_tests[@]}"
    [ -n "$rehearses" ] || programs tests-compiled 60 0 "${slow[@]}" -- test_cuda_kernels_programs
fi
