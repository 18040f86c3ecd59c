# Everything here works on a machine that has Python 3.11 or later, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# make test ARGS="-k lease -x"
ARGS ?=
# make demo SECONDS=20 ARGS="--readers 4"
SECONDS ?=

# tox does not see these by itself: pyenv's own commands run the selected versions only.
PYENV_ROOT ?= $(HOME)/.pyenv
PYENV_PYTHONS := $(wildcard $(PYENV_ROOT)/versions/3.1[1-9].*/bin/python)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format types bench wheel clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.test ## The example shop under load, then open with its dashboard until Ctrl-C, or for SECONDS=20 in all
	$(BIN)/python -m example_project.demo $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

test: $(VENV)/.test ## Run the tests on real PostgreSQL and Valkey servers
	$(BIN)/python -m pytest -n 2 $(ARGS)

test-all: $(VENV)/.dev ## Run the tests on every Python and Django there is, lint, types, wheel
	$(BIN)/python -m tox $(if $(PYENV_PYTHONS),--discover $(PYENV_PYTHONS)) $(ARGS)

lint: $(VENV)/.dev ## Look for mistakes, and check the formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Repair what lint complains of, where a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## Check the type annotations
	$(BIN)/mypy

bench: $(VENV)/.bench ## Measure this library beside others
	$(BIN)/python -m benchmarks $(ARGS)

wheel: $(VENV)/.dev ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove everything that these targets have made
	rm -rf $(VENV) .tox build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Where ensurepip is missing (Debian's python3 without python3-venv), virtualenv does the same.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or later is needed: make PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) || { rm -rf $(VENV); exit 1; }

# A stamp per extra: installed again only when the requirements have changed.
$(VENV)/.test $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,$*]'
	@touch $@
