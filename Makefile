# Two commands for everybody: `make demo` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NATIVE := $(shell find native -type f)

export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint unit coverage docs benchmark mutants clean

demo: $(VENV)/.demo
	$(BIN)/holdfast demo --out holdfast-demo
	@echo "(source $(BIN)/activate puts holdfast on your path)"

test: lint unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.test
	$(BIN)/pytest -n 2 --dist worksteal --doctest-modules src tests

coverage: $(VENV)/.test
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-branch --cov-report=term-missing --doctest-modules src tests

docs: $(VENV)/.docs
	$(BIN)/python docs/tools/generate_cli.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "the documentation is in site/index.html"

# The native engine's kernels under emulators of other processors, against the reference executor's logits. Needs cmake,
# qemu-user and g++-aarch64-linux-gnu.
test-isa: $(VENV)/.test
	mkdir -p build
	$(BIN)/python tests/contracts/engine_cases.py build/engine-cases.bin
	cmake -S native -B build/isa-x86_64 -DHOLDFAST_TOOLS=ON -DCMAKE_EXE_LINKER_FLAGS=-static
	cmake --build build/isa-x86_64 --target holdfast_check
	build/isa-x86_64/tools/holdfast_check build/engine-cases.bin
	qemu-x86_64 -cpu Nehalem build/isa-x86_64/tools/holdfast_check build/engine-cases.bin portable
	qemu-x86_64 -cpu max build/isa-x86_64/tools/holdfast_check build/engine-cases.bin portable avx2
	cmake -S native -B build/isa-aarch64 -DHOLDFAST_TOOLS=ON -DCMAKE_EXE_LINKER_FLAGS=-static \
	  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
	cmake --build build/isa-aarch64 --target holdfast_check
	qemu-aarch64 build/isa-aarch64/tools/holdfast_check build/engine-cases.bin portable neon

# Damaged programs against the native engine's parser, under the sanitizers, for FUZZ_SECONDS.
FUZZ_SECONDS ?= 600
fuzz: $(VENV)/.test
	mkdir -p build
	$(BIN)/python tests/contracts/engine_cases.py build/engine-cases.bin
	cmake -S native -B build/sanitized -DHOLDFAST_TOOLS=ON -DHOLDFAST_SANITIZE=ON
	cmake --build build/sanitized --target holdfast_check holdfast_fuzz
	build/sanitized/tools/holdfast_check build/engine-cases.bin
	build/sanitized/tools/holdfast_fuzz $(FUZZ_SECONDS) build/engine-cases.bin

benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/noise.py
	cmake -S native -B build/tools -DHOLDFAST_TOOLS=ON
	cmake --build build/tools --target holdfast_peak
	$(BIN)/python benchmarks/engine.py --peak build/tools/tools/holdfast_peak
	$(BIN)/python benchmarks/shapes.py --peak build/tools/tools/holdfast_peak

# Not part of test: do the tests notice mistakes in the bounds? (docs/design/mutants.md)
mutants: $(VENV)/.test
	$(BIN)/python tests/mutants/run.py

clean:
	rm -rf $(VENV) build site holdfast-demo

$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("holdfast needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -r constraints.txt
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) install -q -c constraints.txt -e '.[report,data]'
	@touch $@

$(VENV)/.docs: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.test: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) install -q -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.demo $(VENV)/.docs
