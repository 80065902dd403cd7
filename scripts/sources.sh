#!/bin/bash
# Lists the C and C++ files of the project, tracked or new, one a line.
set -euo pipefail
cd "$(dirname "$0")/.."

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.cpp' | while read -r file; do
        [ ! -e "$file" ] || echo "$file"
    done
else
    find include src tools tests -name '*.[ch]' -o -name '*.cpp' | sort
fi
