# The two commands to begin with are demo and test; each makes .venv where it is missing.
# Only python3 (3.11 or newer, with venv) and make are assumed.

PYTHON ?= python3
# Another interpreter has a venv of its own: make test PYTHON=python3.12 makes .venv-python3.12.
VENV := .venv$(addprefix -,$(filter-out python3,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := 0.13.8

MATRIX := python3.11 python3.12 python3.13
PYTEST := $(BIN)/python -m pytest
# What a test is held to stands in pyproject.toml; what a whole run is held to, in seconds, here.
LIMIT := TESTS_RUN_LIMIT_S
WORKERS ?= 3
IN_PARALLEL := -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
# Options for pytest: make test ARGS="-k budget".
ARGS ?=

# Every process of a test imports a lot, and where nothing may be kept it compiles all of it each time, which doubles
# the time of the whole suite.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo install test quick matrix soak fuzz lint check bench dist lock clean

demo: $(READY)
	$(BIN)/python docs/examples/demo.py
	$(BIN)/python docs/examples/engines_demo.py

# The environment alone: . .venv/bin/activate
install: $(READY)

test: $(READY)
	$(LIMIT)=3600 $(PYTEST) $(IN_PARALLEL) --durations=20 $(ARGS)

# What needs no server: the units, the contracts and the examples in the docstrings.
quick: $(READY)
	$(LIMIT)=600 $(PYTEST) $(IN_PARALLEL) -m "not server and not soak" $(ARGS) tests/unit tests/contract mahavishnu adapters flows

matrix:
	@tried=""; for python in $(MATRIX); do \
		if $$python -c "" 2> /dev/null; then \
			echo "== $$python"; $(MAKE) --no-print-directory quick PYTHON=$$python || exit 1; tried="$$tried $$python"; \
		else echo "== $$python was not found"; fi; \
	done; test -n "$$tried" || { echo "None of $(MATRIX) was found."; exit 1; }; echo "== passed on$$tried"

# What takes too long for every landing.
soak: $(READY)
	$(LIMIT)=14400 $(PYTEST) -m soak --timeout=7200 --durations=0 $(ARGS)

# Laws over fresh examples, twenty times as many; what it finds becomes an explicit example.
fuzz: $(READY)
	TESTS_PROFILE=fuzz $(LIMIT)=14400 $(PYTEST) -n $(WORKERS) --dist worksteal -m hypothesis --timeout=7200 $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test

# The peers to measure beside are installed only here; what the lock names stays as it is. Peers that pin other versions
# of the same libraries have a venv of their own.
bench: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --group bench
	@test -f .venv-peers/.ready || { mkdir -p .venv-peers && { $(PYTHON) -m venv .venv-peers \
		&& .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 litellm mabwiser numpy \
		&& touch .venv-peers/.ready; } > .venv-peers/install.log 2>&1; } \
		|| echo "The peers in .venv-peers could not be installed and are not measured; .venv-peers/install.log says why."
	-@test ! -f .venv-peers/.ready || .venv-peers/bin/python tests/bench/peers.py
	$(BIN)/python -m tests.bench

# A wheel and an sdist, each installed into a clean environment outside of the checkout, where it must work.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	@for built in dist/*.whl dist/*.tar.gz; do \
		rm -rf dist/clean && $(PYTHON) -m venv dist/clean \
		&& $(BIN)/uv pip install --quiet --python dist/clean/bin/python --constraint requirements.lock "$$built" \
		&& cp tests/running/smoke.py dist/clean/smoke.py \
		&& (cd dist/clean && bin/python -I smoke.py) || exit 1; \
	done; rm -rf dist/clean

# The lock names packages and hashes, no registry, so that it works behind any mirror.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade \
		--all-extras --group dev pyproject.toml --no-emit-package mahavishnu -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("mahavishnu needs Python 3.11 or newer, and $(PYTHON) is %d.%d; run: make PYTHON=python3.12 $(MAKECMDGOALS)" % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis
