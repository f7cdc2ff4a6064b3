# One command each: `make demo` does the real job, `make test` proves that it does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint unit containers servers zoo images bench clean

demo: $(VENV)/.installed
	$(BIN)/anachron run

test: lint unit

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.installed-test # first what keeps processors busy, on all of them; then what mostly waits, containers beside servers
	$(BIN)/pytest -n auto --dist worksteal -m 'not (docker or servers or browser)'
	$(MAKE) --no-print-directory --jobs=2 containers servers

containers: $(VENV)/.installed-test
	$(BIN)/pytest -m docker

servers: $(VENV)/.installed-test
	$(BIN)/pytest -m '(servers or browser) and not docker'

zoo: $(VENV)/.installed
	$(BIN)/anachron zoo

images: $(VENV)/.installed
	$(BIN)/anachron images build

bench: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks.bench_checkers
	$(BIN)/python -m tests.benchmarks.bench_driver
	$(BIN)/python -m tests.benchmarks.bench_simulation
	$(BIN)/python -m tests.benchmarks.bench_docker

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Anachron needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
