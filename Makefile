# The short names of common tasks. Each installs what it needs first; the work itself is done by CMake and scripts/.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
export JOBS

.PHONY: all demo test python-test gpu-check bench lint format docs coverage valgrind install deb clean

all:
	scripts/install-deps.sh build
	scripts/build.sh release

demo: all
	scripts/demo.sh

test:
	scripts/install-deps.sh test
	scripts/build.sh debug
	ctest --preset debug -j$(JOBS)

python-test:
	scripts/install-deps.sh test python
	scripts/build.sh debug
	ctest --preset debug -R '^python'

# Needs an NVIDIA GPU, and what is built with: it installs nothing, so that it works without a network.
gpu-check:
	scripts/gpu-check.sh

bench: all
	scripts/install-deps.sh bench
	build/release/tarn bench

lint:
	scripts/install-deps.sh lint
	scripts/lint.sh

format:
	scripts/install-deps.sh lint
	scripts/sources.sh | xargs clang-format -i

docs:
	scripts/install-deps.sh docs
	scripts/check-docs.sh

coverage:
	scripts/install-deps.sh test coverage
	scripts/coverage.sh

valgrind:
	scripts/install-deps.sh test valgrind
	scripts/valgrind.sh

install: all
	cmake --install build/release --prefix $(PREFIX)

deb:
	scripts/install-deps.sh package
	scripts/deb.sh

clean:
	rm -rf build
