# Read by the scripts that build, from the repository's root: where ccache is installed and has a folder to write to, nothing is compiled twice. Paths
# count from the root, so that what a copy of the repository compiled serves here, too.
if folder=$(ccache --get-config cache_dir 2>/dev/null) && mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ]; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
# nvcc's work, which ccache does not keep.
export TARN_CUDA_IMAGES=${TARN_CUDA_IMAGES:-$PWD/build/cuda-images}
