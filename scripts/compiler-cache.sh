# Read by the scripts that build, from the repository's root: where ccache is installed, nothing is compiled twice. Paths count from the root, so that what a copy
# of the repository compiled serves here, too.
if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
