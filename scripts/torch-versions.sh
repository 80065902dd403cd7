#!/bin/bash
# Builds the shim for versions of PyTorch from PyPI, with their headers, and drives it through them without a GPU (tests/python/test_torch*.py).
# Usage: scripts/torch-versions.sh [VERSION…]      (no argument: the last release of each version that the shim takes)
# By hand, since each is a gigabyte to fetch. It needs what the build needs, pip, and the headers of a CUDA toolkit. One version lies in the
# build folder at a time. CUDA's libraries besides the runtime, three gigabytes more, are stood in for by empty ones: without a GPU nothing in
# them is called. Prints a line for each version, and fails if one of them does.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
source scripts/compiler-cache.sh

versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(2.5.1 2.6.0 2.7.1 2.8.0 2.9.1 2.10.0 2.11.0 2.12.1 2.13.0 2.14.1 2.15.0)
out=$PWD/build/torch-versions
environment=$out/python
libraries=$out/libraries
mkdir -p "$out"

# Imports find functions of those libraries when they are called, and not before.
install_version() {
    local packages
    rm -rf "$environment" "$libraries"
    mkdir -p "$libraries"
    python3 -m venv "$environment" || return 1
    packages=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    "$environment/bin/pip" install --quiet --no-cache-dir --no-deps --only-binary=:all: "torch==$1" &&
        "$environment/bin/pip" install --quiet filelock fsspec jinja2 networkx numpy setuptools sympy typing_extensions || return 1
    case $(objdump -p "$packages/torch/lib/libtorch_cuda.so" | grep -o 'libcudart.so.[0-9]*' | sort -u) in
        libcudart.so.12) "$environment/bin/pip" install --quiet --no-deps 'nvidia-cuda-runtime-cu12==12.8.*' ;;
        libcudart.so.13) "$environment/bin/pip" install --quiet --no-deps 'nvidia-cuda-runtime==13.*' ;;
    esac || return 1
    echo 'import os, sys; sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_LOCAL)' >"$packages/lazy.pth"
    for library in $(objdump -p "$packages"/torch/lib/*.so | grep -o 'NEEDED *lib\(cu\|nccl\|nv\).*' | sed 's/NEEDED *//' | sort -u); do
        case $library in libcudart.so.* | libcuda.so.*) continue ;; esac
        [ -e "$packages/torch/lib/$library" ] || cc -shared -x c /dev/null -o "$libraries/$library" -Wl,-soname,"$library" || return 1
    done
    LD_LIBRARY_PATH=$libraries:$(dirname "$(find "$packages/nvidia" -name 'libcudart.so.*' | head -1)")
    export LD_LIBRARY_PATH
}

build_shim() {
    cmake -S . -B "$out/build" -DCMAKE_BUILD_TYPE=Debug -DTARN_CUDA_ARCHITECTURES=none -DTARN_TORCH_PYTHON="$environment/bin/python" &&
        cmake --build "$out/build" -j "${JOBS:-$(nproc)}" --target tarn_tool tarn_torch tarn_torch_shim fakecuda \
            test_torch_runtime_12 test_torch_runtime_13
}

run_tests() {
    TARN_LIBRARY=$out/build/libtarn.so TARN_TORCH_LIBRARY=$out/build/torch/libtarn-torch.so PYTHONPATH=$PWD/tests/python:$PWD/python \
        TARN_FAKE_DRIVER=$out/build/tests/fakecuda TARN_FAKE_RUNTIME=$out/build/tests/torch-runtime PYTHONDONTWRITEBYTECODE=1 \
        "$environment/bin/python" -m unittest -v test_torch.Comparing test_torch.WithPyTorch test_torch.InTheShim test_torch_tensors
}

failed=0
for version in "${versions[@]}"; do
    log=$out/$version.log
    unset LD_LIBRARY_PATH
    if ! install_version "$version" >"$log" 2>&1; then result="not installed"
    elif ! build_shim >>"$log" 2>&1; then result="not built"
    elif ! run_tests >>"$log" 2>&1; then result="tests fail"
    else result=fine; fi
    echo "PyTorch $version: $result ($(date +%F), $log)"
    [ "$result" = fine ] || failed=1
    rm -rf "$environment"
done
exit $failed
