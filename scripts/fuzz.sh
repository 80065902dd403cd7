#!/bin/bash
# Runs each fuzz target for a while, two at a time, starting from its seeds. What breaks one is kept in build/fuzz/found/.
# Usage: scripts/fuzz.sh [SECONDS] [TARGET…]        (default 60, all)
set -euo pipefail
cd "$(dirname "$0")/.."

export seconds=${1:-60}
shift || true
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
    if "build/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
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
