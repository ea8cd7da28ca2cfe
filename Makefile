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

benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/noise.py

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
