# Two commands for everybody, demo and test; each makes .venv where it is missing.
# Only python3 (3.11 or newer, with venv) and make are assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := 0.13.8

.PHONY: demo test lint check bench lock clean

demo: $(READY)
	$(BIN)/python docs/examples/demo.py
	$(BIN)/python docs/examples/engines_demo.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

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
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis
