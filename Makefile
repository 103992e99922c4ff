.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
ETDB_DEMO ?= .demo
JOBS ?= $(shell nproc)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: .venv/.ready  ## make the environment in .venv from requirements.lock

.venv/.ready: requirements.lock pyproject.toml tools/setup
	PYTHON=$(PYTHON) tools/setup
	@touch $@

check: setup  ## format, lint, types, import layers, house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/pytest -q tests/test_house_rules.py

fix: setup  ## format, mend what ruff can, renew generated tables in docs
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/docs.py

test: setup  ## everything, against real components
	tools/components
	$(BIN)/pytest -n $(JOBS) --dist loadfile --cov --cov-report=
	$(BIN)/python tools/coverage_floors.py

test-full: setup  ## the same with the full sizes of the slow tests
	tools/components
	ETDB_FULL=1 $(BIN)/pytest -n $(JOBS) --dist loadfile

demo: setup  ## a sample lab at http://127.0.0.1:8000
	$(BIN)/etdb demo $(ETDB_DEMO)

bench: setup  ## one table of ratios
	$(BIN)/python -m bench

docs: setup  ## renew the generated tables and check every link
	$(BIN)/python tools/docs.py --check-links

.PHONY: help setup check fix test test-full demo bench docs
