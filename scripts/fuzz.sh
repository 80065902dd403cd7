#!/bin/bash
# Runs each fuzz target for a while, two at a time, starting from its seeds. What breaks one is kept in build/fuzz/found/, and
# `build/fuzz/TARGET FILE` shows it again. TARN_FUZZ_SEED=N chooses the run of random changes, 1 where it is not set, so that a run
# from a fresh clone can be repeated; with 0 each run is another one, and says which it was.
# Usage: scripts/fuzz.sh [SECONDS] [TARGET…]        (default 60, all)
set -euo pipefail
cd "$(dirname "$0")/.."

export seconds=${1:-60}
shift || true
export seed=${TARN_FUZZ_SEED:-1}
[ "$seed" != 0 ] || seed=$((RANDOM << 15 | RANDOM | 1))
echo "seed $seed (TARN_FUZZ_SEED=$seed repeats it)"
scripts/build.sh fuzz
mkdir -p build/fuzz/found

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for file in tests/fuzz/fuzz_*.c; do targets+=("$(basename "$file" .c)"); done
fi

run() {
    local name=$1 seeds=tests/fuzz/corpus/${1#fuzz_} kept=build/fuzz/kept/${1#fuzz_} log=build/fuzz/$1.log
    mkdir -p "$kept"
    local folders=("$kept")
    if [ -d "$seeds" ]; then folders+=("$seeds"); fi
    # Without reading the folders again, which it would do by the clock.
    if "build/fuzz/$name" -seed="$seed" -reload=0 -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/found/$name-" "${folders[@]}" >"$log" 2>&1; then
        echo "passed $name: $(awk '/stat::number_of_executed_units/ {print $2}' "$log") inputs in $seconds s"
    else
        echo "FAILED $name"
        tail -50 "$log"
        return 1
    fi
}
export -f run
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run {}'
