# Gnomon's commands. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Gnomon needs Python 3.11 or newer, this is %s: run make PYTHON=python3.11" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.PHONY: install
install: $(STAMP) ## Create .venv and install Gnomon with everything development needs

.PHONY: demo
demo: $(STAMP) ## Start everything on embedded ClickHouse with a simulated LLM service
	$(BIN)/gnomon demo

.PHONY: fmt
fmt: $(STAMP) ## Format the code and fix what can be fixed by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: check
check: $(STAMP) ## Lint, type-check and hold the layering, without running tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: chromium
chromium:
	@sh tests/e2e/install_chromium.sh

.PHONY: test
test: check chromium ## Lint, type-check and run all tests but the slow tier (installs Chromium if missing)
	$(BIN)/pytest -m "not slow"

.PHONY: test-slow
test-slow: $(STAMP) chromium ## Run the slow tier: long crash sweeps and the like
	$(BIN)/pytest -m slow

.PHONY: snapshots
snapshots: $(STAMP) ## Regenerate the reviewed snapshots of SQL and spans
	$(BIN)/pytest -m "not slow" --snapshot-update tests

.PHONY: bench
bench: bench-ingest bench-freshness bench-queries ## Run every benchmark but the comparison with peers

.PHONY: bench-ingest
bench-ingest: $(STAMP) ## Ingest: acknowledged and queryable spans/s, RSS, CPU per span, by stage
	$(BIN)/python -m tests.bench.ingest

.PHONY: bench-freshness
bench-freshness: $(STAMP) ## Time from ack to queryable at 1,000 spans/s, and the cost of idling
	$(BIN)/python -m tests.bench.freshness

.PHONY: bench-queries
bench-queries: $(STAMP) ## Overview panels at 10 M spans, p95 per panel
	$(BIN)/python -m tests.bench.queries

.PHONY: bench-peers
bench-peers: $(STAMP) ## The same requests against Phoenix and MLflow, side by side
	$(BIN)/python -m tests.bench.peers
