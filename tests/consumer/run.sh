#!/bin/bash
# Installs a finished build to a temporary prefix and uses it from there, as other projects would: each public header alone
# in C and in C++, a project that finds the CMake package, programs compiled by pkg-config, after the tree has been moved.
# Usage: tests/consumer/run.sh BUILD_FOLDER
set -euo pipefail

source_folder=$(cd "$(dirname "$0")" && pwd)
build_folder=$(cd "${1:?which build folder?}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

DESTDIR= cmake --install "$build_folder" --prefix "$scratch/first" >"$scratch/install.log"
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix

echo "each header alone"
for header in "$prefix"/include/tarn/*.h; do
    name=tarn/$(basename "$header")
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" >"$scratch/header.c"
    gcc -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only -I"$prefix/include" "$scratch/header.c"
    g++ -std=c++11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only -I"$prefix/include" -x c++ "$scratch/header.c"
done

echo "the libraries offer the same names, and only public ones"
library_folder=$(dirname "$(find "$prefix" -name libtarn.a)")
nm -D --defined-only "$library_folder/libtarn.so" | awk '$2 ~ /[A-Z]/ {print $3}' | sort >"$scratch/shared"
nm --defined-only --extern-only "$library_folder/libtarn.a" | awk 'NF == 3 {print $3}' | sort >"$scratch/static"
diff "$scratch/shared" "$scratch/static"
if grep -v '^tarn_' "$scratch/shared"; then
    echo "these names are not public" >&2
    exit 1
fi
needed=$(objdump -p "$library_folder/libtarn.so" | awk '$1 == "NEEDED" {print $2}' | grep -Ev '^(libc|libm|libpthread|libdl|ld-linux.*)\.so' || true)
if [ -n "$needed" ]; then
    echo "libtarn needs more than the C library: $needed" >&2
    exit 1
fi

echo "CMake package"
cmake -G Ninja -S "$source_folder" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/configure.log"
cmake --build "$scratch/cmake" >"$scratch/build.log"
(cd "$scratch/cmake" && ctest --output-on-failure >"$scratch/ctest.log") || { cat "$scratch/ctest.log" >&2; exit 1; }

echo "pkg-config"
export PKG_CONFIG_PATH=$library_folder/pkgconfig
flags=$(pkg-config --cflags --libs tarn)
static_flags="$(pkg-config --cflags tarn) $library_folder/libtarn.a $(pkg-config --static --libs-only-other tarn) -ldl -lm"
# The flags are lists: they are split on purpose.
# shellcheck disable=SC2086
{
    gcc -std=c11 "$source_folder/consumer.c" $flags -Wl,-rpath,"$library_folder" -o "$scratch/c"
    g++ -std=c++11 "$source_folder/consumer.cpp" $flags -Wl,-rpath,"$library_folder" -o "$scratch/cpp"
    gcc -std=c11 "$source_folder/consumer.c" $static_flags -o "$scratch/c_static"
}
for program in c cpp c_static; do "$scratch/$program"; done

echo "the examples of README.md"
awk -v folder="$scratch" '/^```c$/ {file = folder "/readme" ++n ".c"; next} /^```$/ {file = ""} file {print > file}' "$source_folder/../../README.md"
for example in "$scratch"/readme*.c; do
    # shellcheck disable=SC2086
    gcc -std=c11 -Wall -Wextra -Werror "$example" $flags -Wl,-rpath,"$library_folder" -o "$scratch/example"
    "$scratch/example" >"$scratch/example.txt"
done
[ -s "$scratch/example.txt" ]

if [ -x "$prefix/bin/tarn" ]; then
    echo "the installed command"
    "$prefix/bin/tarn" --version
    "$prefix/bin/tarn" devices >"$scratch/devices.txt"
    [ -s "$scratch/devices.txt" ]

    echo "the completions know its commands and options"
    bash_completion=$prefix/share/bash-completion/completions/tarn
    zsh_completion=$(find "$prefix/share/zsh" -name _tarn)
    bash -n "$bash_completion"
    commands=$("$prefix/bin/tarn" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
    [ -n "$commands" ]
    for command in $commands; do
        for word in "$command" $("$prefix/bin/tarn" "$command" --help | grep -oE '^ +(-[a-z?], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | grep -v -- --usage); do
            for completion in "$bash_completion" "$zsh_completion"; do
                grep -qF -- "$word" "$completion" || { echo "$completion does not know $word of tarn $command" >&2; exit 1; }
            done
        done
    done
fi
echo "the installed tree works"
