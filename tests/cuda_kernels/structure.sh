#!/bin/bash
# What nvcc makes of the kernels that matter most, for sm_90: each reads 16 bytes at once, writes as many where it has as many to write, and keeps all that it
# holds in registers. This stands in for a measurement where there is no GPU, and is none: it shows what the kernels are made of, not how fast they run.
# Usage: structure.sh NVCC BUILD-FOLDER      (the PTX that the build has made is read)
set -euo pipefail
nvcc=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Module, the fewest stores of 16 bytes that each kernel has, and the kernels that are looked at.
looked_at() {
    echo arithmetic 1 tarn_arithmetic_{f32,f16,bf16,f64,i16,i32,i64}
    echo copies 1 tarn_copy_{2,4,8}
    echo folds 0 tarn_fold_rows_{f32,f16,bf16,f64,i8,u8,i16,i32,i64,bool} tarn_fold_columns_{f32,f16,bf16,f64,i16,i32,i64}
    echo pooling 1 tarn_max_pool2d_{f32,f16,bf16,f64,i16,i32,i64}
    echo product 1 tarn_matmul_{f32,f64}
    echo product 0 tarn_matmul_{f16,bf16} tarn_conv2d_{f32,f16,bf16,f64}
    echo rows 1 tarn_softmax_{f32,f16,bf16,f64} tarn_layer_norm_{f32,f16,bf16,f64}
}

# "KERNEL LOADS STORES": accesses of 16 bytes in the PTX of each kernel.
count_accesses() {
    awk '/\.entry/ { match($0, /tarn_[a-z0-9_]+/); name = substr($0, RSTART, RLENGTH); loads[name] = stores[name] = 0 }
         /ld\.global[.a-z]*\.v4\.[a-z]32|ld\.global[.a-z]*\.v2\.[a-z]64/ { loads[name]++ }
         /st\.global[.a-z]*\.v4\.[a-z]32|st\.global[.a-z]*\.v2\.[a-z]64/ { stores[name]++ }
         END { for (name in loads) print name, loads[name], stores[name] }' "$1"
}

# "KERNEL REGISTERS SPILLED": what ptxas says of each kernel, bytes.
read_resources() {
    awk '/Compiling entry function/ { split($0, parts, "\x27"); name = parts[2] }
         name != "" && /spill stores/ { match($0, /[0-9]+ bytes spill stores/); spilled = substr($0, RSTART, RLENGTH) + 0 }
         name != "" && /Used [0-9]+ registers/ { match($0, /Used [0-9]+/); print name, substr($0, RSTART + 5, RLENGTH - 5), spilled; name = "" }' "$1"
}

checked=0 failed=0
while read -r module least names; do
    "$(dirname "$nvcc")/ptxas" -v --fmad=false -arch=sm_90 -o "$work/$module.cubin" "$build/cuda_$module.ptx" 2>"$work/$module.log"
    count_accesses "$build/cuda_$module.ptx" >"$work/accesses"
    read_resources "$work/$module.log" >"$work/resources"
    for name in $names; do
        read -r _ loads stores < <(grep "^$name " "$work/accesses")
        read -r _ registers spilled < <(grep "^$name " "$work/resources")
        echo "$name: $loads loads and $stores stores of 16 bytes, $registers registers, $spilled bytes spilled"
        checked=$((checked + 1))
        if [ "$loads" = 0 ] || [ "$stores" -lt "$least" ] || [ "$spilled" != 0 ]; then failed=$((failed + 1)); fi
    done
done < <(looked_at)
echo "$((checked - failed)) passed, $failed failed"
[ "$failed" = 0 ]
