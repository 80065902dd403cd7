#!/bin/bash
# Installs the Debian packages that a task needs and this machine lacks. Where there is no apt-get, names them and stops.
# Usage: scripts/install-deps.sh [build|test|python|lint|bench|docs|package|cache|ci|all]…        (no argument: build)
set -euo pipefail

# Each line: the groups that need the package, the package, and a command that succeeds where it is present.
packages() {
    cat <<'LIST'
build,test,lint,bench,package  gcc                   command -v gcc
build,test,lint,bench,package  libc6-dev             has_header stdlib.h
build,test,lint,bench,package  cmake                 command -v cmake
build,test,lint,bench,package  ninja-build           command -v ninja
build,test,lint,bench,package  pkg-config            command -v pkg-config
build,test,lint,bench,package  libjansson-dev        pkg-config --exists jansson
build,test,lint,bench,package  libdnnl-dev           has_header oneapi/dnnl/dnnl.h
build,test,lint,bench,package  ocl-icd-opencl-dev    has_header CL/cl.h
test,lint                      libcmocka-dev         pkg-config --exists cmocka
test,lint                      zlib1g-dev            pkg-config --exists zlib
build,test,package             g++                   command -v g++
test                           python3               command -v python3
test                           python3-numpy         /usr/bin/python3 -c 'import numpy'
test                           python3-hypothesis    /usr/bin/python3 -c 'import hypothesis'
test,bench                     gnuplot-nox           command -v gnuplot
test                           pocl-opencl-icd       compgen -G '/etc/OpenCL/vendors/*.icd'
test                           oclgrind              command -v oclgrind
test                           libclblast1           has_library libclblast.so.1
test                           python3-venv          /usr/bin/python3 -c 'import ensurepip'
python                         python3-torch         /usr/bin/python3 -c 'import torch'
lint                           clang                 command -v clang
lint                           clang-format          command -v clang-format
lint                           clang-tidy            command -v clang-tidy
lint                           cppcheck              command -v cppcheck
fuzz                           clang                 command -v clang
fuzz                           libclang-rt-dev       has_fuzzer
bench                          libtcmalloc-minimal4  has_library libtcmalloc_minimal.so
bench                          libjemalloc2          has_library libjemalloc.so
bench                          libmimalloc2.0        has_library libmimalloc.so
bench                          python3-numpy         python3 -c 'import numpy' || /usr/bin/python3 -c 'import numpy'
docs                           doxygen               command -v doxygen
package                        dpkg-dev              command -v dpkg-shlibdeps
package                        file                  command -v file
cache                          ccache                command -v ccache
coverage                       gcovr                 command -v gcovr
valgrind                       valgrind              command -v valgrind
browser                        chromium              command -v chromium
browser                        python3               command -v python3
LIST
}

has_header() { echo "#include <$1>" | gcc -E -x c - >/dev/null; }
has_library() { compgen -G "/usr/lib/*/$1*" || compgen -G "/usr/lib*/$1*" || compgen -G "/usr/local/lib*/$1*"; }
has_fuzzer() { compgen -G "$(clang -print-resource-dir)/lib/linux/libclang_rt.fuzzer-*.a"; }

wanted=,
for group in "${@:-build}"; do
    case $group in
    ci | all) wanted+=build,test,python,lint,fuzz,bench,docs,package,cache,coverage,valgrind,browser, ;;
    build | test | python | lint | fuzz | bench | docs | package | cache | coverage | valgrind | browser) wanted+=$group, ;;
    *)
        echo "install-deps.sh: no group is called $group" >&2
        exit 1
        ;;
    esac
done

missing=()
while read -r groups package probe; do
    for group in ${groups//,/ }; do
        [[ $wanted == *",$group,"* ]] || continue
        [[ " ${missing[*]-} " == *" $package "* ]] || eval "$probe" >/dev/null 2>&1 || missing+=("$package")
        break
    done
done < <(packages)
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]} (Debian's names). Please install them with this system's package manager." >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing: ${missing[*]}. Please install them as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "installing ${missing[*]}" >&2
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
"${apt[@]}" update >&2
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2
