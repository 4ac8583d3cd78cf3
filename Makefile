# Each target sets up what it needs; a second call finds it ready and does nothing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
INSTALL := install --quiet --disable-pip-version-check
AUDIT  := .venv-audit
LOCKER := .venv-lock
PEERS  := .venv-peers
# For every Python from 3.11 on and every machine: one file holds the hashes of all wheels of a version.
COMPILE := $(LOCKER)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate $(LOCK_ARGS)
VERSIONS := 3.11 3.12 3.13 3.14

.PHONY: demo test test-all coverage soak fuzz mutations lint audit format bench bench-peers lock clean

# What is installed has the hash that is written down, what builds the package too: nothing is built with anything else.
$(READY): pyproject.toml requirements/dev.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "asyncimport needs Python 3.11 or newer; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip $(INSTALL) --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip $(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(BIN)/asyncimport demo

# In several processes, since most tests wait: for a round trip, a command, a clock. PYTEST_ARGS="-n 0" runs them in one.
test: $(READY)
	$(BIN)/python -m pytest -n 4 --dist worksteal $(PYTEST_ARGS)

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

# Hours: 200 kills at random moments, one at every system call, 10,000 simulated runs, 5,000 imports in one process, a minute for each fuzz target. `timeout 30m make soak` shows what half an hour shows.
soak: $(READY) fuzz
	ASYNCIMPORT_SOAK=1 $(BIN)/python -m pytest tests/crash tests/simulation tests/emulated/test_leaks.py tests/test_faults_e.py $(PYTEST_ARGS)

# Minutes: breaks the package on purpose, one rule at a time, and shows that the suite turns red.
mutations: $(READY)
	$(BIN)/python tests/mutations.py

# Each target for FUZZ_SECONDS, guided by coverage, where atheris is to be had for this Python and machine.
fuzz: $(READY)
	@$(BIN)/python -m pip $(INSTALL) --require-hashes --only-binary :all: -r requirements/fuzz.lock || \
	  echo "atheris cannot be had, as told above: its targets are skipped, make test runs them by hypothesis"
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then \
	  PYTHONPATH=.:tests/support $(BIN)/python -m tests.fuzz --seconds $${FUZZ_SECONDS:-60}; fi

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Whether what the package stands on, or is built and tested with, has a known hole. Nobody to ask is said, and no failure.
audit:
	@test $(AUDIT)/bin/pip-audit -nt requirements/audit.lock || { $(PYTHON) -m venv $(AUDIT) && \
	  $(AUDIT)/bin/python -m pip $(INSTALL) --require-hashes -r requirements/audit.lock && \
	  touch $(AUDIT)/bin/pip-audit; } || true
	@$(PYTHON) .ci/audit.py $(AUDIT)/bin/pip-audit requirements/dev.lock

# Write the locks anew: what is there stays unless pyproject.toml no longer allows it, or LOCK_ARGS=--upgrade is given.
lock:
	$(PYTHON) -m venv $(LOCKER)
	$(LOCKER)/bin/python -m pip $(INSTALL) uv
	$(COMPILE) --extra dev pyproject.toml -o requirements/dev.lock
	echo "pip-audit>=2.7" | $(COMPILE) - -o requirements/audit.lock
	$(LOCKER)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzz"], sep="\n")' | \
	  $(COMPILE) - -o requirements/fuzz.lock

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks

# Minutes: what a user could pick instead, in a venv of its own, against asyncimport.
bench-peers: $(PEERS)/.ready
	$(PEERS)/bin/python -m benchmarks.peers $(BENCH_ARGS)

$(PEERS)/.ready: requirements/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip $(INSTALL) --no-deps -r requirements/peers.txt
	@touch $@

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist .coverage
