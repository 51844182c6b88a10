# Every target does only what is missing, so it can be typed again at any time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# TypeScript is extra: without Node, or with `make NODE=`, all else works.
NODE ?= node
TYPESCRIPT := notebooks/typescript
PACKAGES := $(TYPESCRIPT)/node_modules/ready
# A Cosmos DB on this machine, for the tests only.
COSMOSDB := tests/telemetry/sinks/cosmosdb
# What accessibility is checked with, likewise.
AXE := tests/browser/axe

.DEFAULT_GOAL := help
.PHONY: help setup demo test fast lab lint down bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(READY) $(PACKAGES) ## Install the workbench into .venv, and TypeScript's packages

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Python is missing: sudo apt install python3 python3-venv"; exit 5; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Python 3.11 to 3.13 is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	  "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 5; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing: sudo apt install python3-venv"; exit 5; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the workbench into $(VENV), about a minute …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

# npm ci deletes the folder first, and with it the mark of an earlier success.
%/node_modules/ready: %/package-lock.json
	@if ! $(NODE) -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null \
	  || ! command -v npm >/dev/null; then \
	  echo "$* is left out: it needs Node 20 or newer with npm (https://nodejs.org)"; \
	else \
	  (cd $* && npm ci --loglevel=error >/dev/null) || { \
	    echo "npm could not install the packages of $*." \
	    "To go on without them: make NODE= $(MAKECMDGOALS)"; exit 1; }; \
	  touch $@; \
	fi

demo: $(READY) $(PACKAGES) ## Start a real vLLM and run all notebooks headless
	@$(BIN)/workbench run --html

test: $(READY) $(PACKAGES) $(COSMOSDB)/node_modules/ready $(AXE)/node_modules/ready ## Run all tests: fast ones, those against a real vLLM, the notebooks, a browser
	@$(BIN)/python -m pytest

fast: $(READY) ## Run the tests that start nothing
	@$(BIN)/python -m pytest -m 'not engine and not processes and not docker and not browser' tests

lab: $(READY) $(PACKAGES) ## Open JupyterLab on the first notebook
	@$(BIN)/jupyter lab notebooks/00_start_here.ipynb

lint: $(READY) ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(READY) ## Run the benchmarks, one table each
	@for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

down: $(READY) ## Stop the server
	@$(BIN)/workbench down

clean: ## Delete what was made: results, state, engine, environment
	@if test -x $(BIN)/workbench; then $(BIN)/workbench down; fi
	@rm -rf results .workbench .engine $(VENV) $(TYPESCRIPT)/node_modules $(COSMOSDB)/node_modules $(AXE)/node_modules *.egg-info build
