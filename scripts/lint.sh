#!/bin/bash
# Form and static analysis: clang-format, the floors, cppcheck, clang-tidy. Runs them all and fails if one of them complains.
# Usage: scripts/lint.sh [FILE…]        (no argument: all files)
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -t files < <(scripts/sources.sh)
fi
# The programs that the recorder records do on purpose what analysis forbids.
sources=()
for file in "${files[@]}"; do
    case $file in tests/consumer/* | tests/fuzz/* | tests/record/subject/*) ;; *.c) sources+=("$file") ;; esac
done

failed=()
step() {
    local name=$1 start=$SECONDS
    shift
    if "$@"; then
        echo "lint: $name: fine ($((SECONDS - start)) s)"
    else
        echo "lint: $name: FAILED ($((SECONDS - start)) s)"
        failed+=("$name")
    fi
}

check_form() { clang-format --dry-run -Werror "${files[@]}"; }

check_cppcheck() {
    cppcheck --quiet --std=c11 --language=c -j "$jobs" --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 --suppress=missingIncludeSystem -D_GNU_SOURCE -DTARN_DEBUG_CHECKS -U__cplusplus \
        -Iinclude -Isrc -Itools -Ibuild/lint/include "${sources[@]}"
}

# clang reads the compiler's options from a build folder of its own, since gcc's are not all known to it.
check_tidy() {
    cmake -S . -B build/lint -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
        >build/lint.log 2>&1 || { cat build/lint.log; return 1; }
    local known=() output file
    for file in "${sources[@]}"; do
        if grep -qF "\"$PWD/$file\"" build/lint/compile_commands.json; then known+=("$file"); fi
    done
    [ ${#known[@]} -gt 0 ] || return 0
    # One file a process: the checker of va_list mistakes one file's for another's. The analyzer follows a third of the states of a
    # function that it would by itself, in a third of the time; TARN_LINT_STATES=225000 follows all of these.
    local states=() word
    for word in -analyzer-config "max-nodes=${TARN_LINT_STATES:-75000}"; do
        states+=(--extra-arg=-Xclang "--extra-arg=$word")
    done
    output=$(printf '%s\n' "${known[@]}" |
        xargs -P "$jobs" -n 1 clang-tidy --quiet -p build/lint "${states[@]}" 2>/dev/null)
    local status=$?
    [ -z "$output" ] || echo "$output"
    return $status
}

mkdir -p build
step clang-format check_form
step floors scripts/check-layers.sh
step cppcheck check_cppcheck
step clang-tidy check_tidy

if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: failed: ${failed[*]}"
    exit 1
fi
