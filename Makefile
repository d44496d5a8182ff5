# make fig8: AdaServe's Figure 8 on the simulator.  make tiny: the same with real tokens, on this machine.
# make install: only what the command line needs.  make test: every check.  make coverage: which
# lines of engine/ and exps/ the tests run.  make test-triton-3.2: the kernels' tests with the cuda image's torch and
# Triton, 3 GB to fetch.  All need only Python 3.10+ and make.

PYTHON ?= python3
BIN := .venv/bin
CORE := .venv/.core
ENGINE := .venv/.engine
TEST := .venv/.test
OLD := build/triton-3.2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --custom-compile-command "make lock" requirements/core.txt requirements/engine.txt

.PHONY: install fig8 tiny test test-triton-3.2 coverage lock clean

install: $(CORE)

fig8: $(CORE)
	$(BIN)/python cli.py run fig8 --model llama

tiny: $(ENGINE)
	$(BIN)/python cli.py run fig8 --model tiny --backend native

test: $(TEST)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2

coverage: $(TEST)
	$(BIN)/python -m pytest -q -n 2 --ignore tests/containers --cov=engine --cov=exps --cov-report=term:skip-covered

# Triton runs in its interpreter where there is no GPU; machine code is made either way.
test-triton-3.2: $(OLD)/.made
	$(OLD)/bin/python -m pytest -q tests/engine/kernels/triton

# Pins anew, with hashes, what the two images install.
lock: $(CORE)
	$(PIP) uv
	$(LOCK) --python-version 3.10 --python-platform x86_64-manylinux_2_35 requirements/cuda.in -o requirements.txt
	$(LOCK) --python-version 3.10 --universal requirements/cpu.in -o requirements/cpu.lock

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CORE): requirements/core.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "$(PYTHON) was not found: install Python 3.10 or newer, or name it, as in make PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is older than 3.10: install a newer Python, or name it, as in make PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it, as in apt-get install python3-venv." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements/core.txt
	@touch $@

$(ENGINE): $(CORE) requirements/engine.txt requirements/torch.txt
	$(PIP) -r requirements/engine.txt -r requirements/torch.txt
	@touch $@

$(TEST): $(ENGINE) requirements/test.txt
	$(PIP) -r requirements/test.txt
	@touch $@

# What the lock pins is taken in that version, without its hashes, since pytest is not in it.
$(OLD)/.made: requirements.txt requirements/core.txt requirements/engine.txt
	$(PYTHON) -m venv $(OLD)
	awk '/^[a-z].*==/ {print $$1}' requirements.txt >$(OLD)/pins.txt
	$(OLD)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(OLD)/pins.txt \
		-r requirements/core.txt -r requirements/engine.txt torch triton setuptools pytest pytest-xdist hypothesis
	@touch $@
