# What needs no more than Python 3.11, make and a package index. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --extra postgresql --extra mysql \
	--extra mongodb --extra redis --extra dynamodb

.DEFAULT_GOAL := help
.PHONY: help install serve test check check-all format lock clean mutation

help: ## List what can be made.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Put userport into .venv/bin.

serve: install ## Serve on 127.0.0.1:8000, with an embedded database in userport.db.
	$(BIN)/userport serve

test: $(VENV)/dev ## Run all tests, on every storage whose server can be had.
	$(BIN)/pytest

check: $(VENV)/dev ## The gate: format, lint, types, layers, tests on memory and SQLite.
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	STORAGES=memory,sqlite $(BIN)/pytest -q -rfE -m "not slow" --numprocesses 2

check-all: check ## The gate, then all tests on every storage.
	REQUIRE_STORAGES=memory,sqlite,postgresql,mariadb $(BIN)/pytest -q

mutation: $(VENV)/dev ## Plant bugs in the stores and see whether the storage contract notices.
	$(BIN)/python -m tests.mutation.plant_bugs

format: $(VENV)/dev ## Put the code into its form.
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

lock: $(VENV)/dev ## Pin what pyproject.toml asks for, with hashes.
	$(COMPILE) --group build --output-file requirements.lock pyproject.toml
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## Remove the environment.
	rm -rf $(VENV)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "userport needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-build-isolation --no-deps --editable .
	touch $@

$(VENV)/dev: $(VENV)/installed requirements-dev.lock
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	touch $@
