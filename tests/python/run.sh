#!/bin/bash
# Runs Python tests by the first interpreter here that has what they need; 77, with the reason, where none has.
# Usage: tests/python/run.sh MODULES|newest TEST.py…    MODULES: "numpy,hypothesis", or "none"
# TARN_TEST_PYTHON names an interpreter that is tried first: one that has PyTorch from PyPI, say, which is too large to be fetched here.
# `newest` makes a virtual environment with what PyPI has newest: NumPy, which hands out versioned capsules, and tvm-ffi, which calls DLPack's
# exchange table. It is kept in the build folder.
set -euo pipefail

wanted=$1
shift
folder=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH=$folder:$folder/../../python PYTHONDONTWRITEBYTECODE=1

skip() {
    echo "skipped: $1"
    exit 77
}

newest() {
    local environment=${TARN_BUILD_DIR:?}/python-newest
    if ! "$environment/bin/python" -c 'import numpy, tvm_ffi' 2>/dev/null; then
        {
            python3 -m venv "$environment" &&
                timeout 120 "$environment/bin/pip" install --quiet --retries 0 --timeout 10 --disable-pip-version-check \
                    'numpy>=2.1' 'apache-tvm-ffi>=0.1.12'
        } >&2 || skip "NumPy and apache-tvm-ffi could not be installed from PyPI: is there a network, and python3-venv?"
    fi
    python=$environment/bin/python
}

known() {
    local modules=$wanted candidate
    if [ "$modules" = none ]; then modules=ctypes; fi
    for candidate in ${TARN_TEST_PYTHON:+"$TARN_TEST_PYTHON"} python3 /usr/bin/python3; do
        if "$candidate" -c "import $modules" 2>/dev/null; then
            python=$candidate
            return
        fi
    done
    skip "no python3 here has $modules"
}

if [ "$wanted" = newest ]; then newest; else known; fi
for test in "$@"; do "$python" "$folder/$test"; done
