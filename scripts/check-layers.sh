#!/bin/bash
# Checks the floors of the house: a file includes only files of its own room or of a floor below, and a backend includes
# <tarn/backend.h> and base, with base's public headers, alone. Prints each include that points up.
set -euo pipefail
cd "$(dirname "$0")/.."

# The rooms that the files of a room may include, beside their own.
allowed() {
    case $1 in
    include) echo "" ;;
    base) echo "include" ;;
    backends/*) echo "backend base" ;;
    hal) echo "include base" ;;
    plan | shape) echo "include base" ;;
    memory) echo "include base plan hal shape" ;;
    trace) echo "include base plan hal shape memory" ;;
    tensor) echo "include base plan hal shape memory" ;;
    expr) echo "include base plan hal shape memory tensor" ;;
    tools/*) echo "include base plan hal shape memory tensor expr trace tarn bench workload record" ;;
    *) echo any ;;
    esac
}

# The room of an included name, seen from a file of room $2.
room_of_include() {
    case $1 in
    tarn/backend.h | tarn/backend_operations.h | tarn/shape.h | tarn/export.h | tarn/log.h | tarn/size.h | tarn/status.h)
        case $2 in backends/*) echo backend ;; *) echo include ;; esac
        ;;
    tarn/*) echo include ;;
    backends/*/*) echo "$1" | cut -d/ -f1,2 ;;
    */*) dirname "$1" ;;
    *) echo "$2" ;;
    esac
}

wrong=0
while read -r file; do
    case $file in
    include/*) room=include ;;
    src/backends/*) room=$(echo "$file" | cut -d/ -f2,3) ;;
    src/*/*) room=$(echo "$file" | cut -d/ -f2) ;;
    tools/*) room=$(echo "$file" | cut -d/ -f1,2) ;;
    *) continue ;;
    esac
    permitted=$(allowed "$room")
    [ "$permitted" != any ] || continue
    while read -r name; do
        [ -n "$name" ] || continue
        target=$(room_of_include "$name" "$room")
        case $target in sys | linux | asm | arpa | netinet | sanitizer | valgrind | oneapi/dnnl) continue ;; esac
        if [ "$target" != "$room" ] && [[ " $permitted " != *" $target "* ]]; then
            echo "$file includes $name: $room must not know $target"
            wrong=1
        fi
    done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]([^">]+)[">].*/\1/p' "$file" |
        grep -E '^tarn/|/|^"' || true)
done < <(scripts/sources.sh)
exit $wrong
