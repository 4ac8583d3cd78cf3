# Each target sets up what it needs; a second call finds it ready and does nothing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VERSIONS := 3.11 3.12 3.13 3.14

.PHONY: demo test test-all coverage soak mutations lint format bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "asyncimport needs Python 3.11 or newer; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(READY)
	@$(BIN)/asyncimport demo

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Every supported Python that answers on PATH, each in a venv of its own.
test-all:
	@for v in $(VERSIONS); do \
	  if python$$v -c '' 2>/dev/null; then \
	    echo "== python$$v"; $(MAKE) --no-print-directory test PYTHON=python$$v VENV=.venv-$$v || exit 1; \
	  else echo "== python$$v is not installed: skipped"; fi; \
	done

# Each module that decides, by its own test file alone: every line and branch.
coverage: $(READY)
	$(BIN)/python tests/decision_coverage.py $(MODULES)

# Hours: 200 kills at random moments, one at every system call, 10,000 simulated runs, and 5,000 imports in one process.
soak: $(READY)
	ASYNCIMPORT_SOAK=1 $(BIN)/python -m pytest tests/crash tests/simulation tests/emulated/test_leaks.py $(PYTEST_ARGS)

# Minutes: breaks the package on purpose, one rule at a time, and shows that the suite turns red.
mutations: $(READY)
	$(BIN)/python tests/mutations.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist .coverage
