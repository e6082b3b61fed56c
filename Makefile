# Gnomon's commands. `make help` lists them.
#
# Everything is installed into .venv, nothing outside of this directory; the one exception is the browser of
# the end-to-end tests (`make chromium`), which is a package of the system.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help

# $(call new_venv,DIR). Debian's python3 cannot put pip into an environment unless python3-venv is installed;
# where it is not, the system's pip does it.
define new_venv
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit("Gnomon needs Python 3.11 or newer, this is %d.%d: run make PYTHON=python3.11 (or newer)" % v[:2] if v < (3, 11) else 0)'
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(1); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; \
	else \
		echo "$(PYTHON) can make no virtual environment: install its venv module or pip first, on Debian with" >&2; \
		echo "    apt-get install python3-venv" >&2; \
		exit 1; \
	fi
endef

##@ Use it

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Create .venv and install Gnomon with everything development needs

.PHONY: demo
demo: $(STAMP) ## Start everything on embedded ClickHouse with a simulated LLM service
	$(BIN)/gnomon demo

.PHONY: serve
serve: $(STAMP) ## Start the collector and the dashboard; the first start prints the login and a key
	$(BIN)/gnomon serve

##@ Change it

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

.PHONY: test
test: check chromium ## Lint, type-check and run all tests but the slow tier (installs Chromium if missing)
	$(BIN)/pytest -m "not slow"

.PHONY: test-slow
test-slow: $(STAMP) chromium ## Run the slow tier: long crash sweeps and the like
	$(BIN)/pytest -m slow

.PHONY: faults
faults: $(STAMP) ## Break everything that docs/reliability.md promises against; TIER=fast leaves out the long sweeps, RESUME=1 what passed at this commit
	$(BIN)/python -m tests.faults.report faults $(if $(filter fast,$(TIER)),--fast) $(if $(RESUME),--resume) $(foreach part,$(ONLY),--only $(part))

.PHONY: security
security: $(STAMP) ## Hold Gnomon to the security promises of docs/reliability.md
	$(BIN)/python -m tests.faults.report security $(if $(filter fast,$(TIER)),--fast) $(if $(RESUME),--resume) $(foreach part,$(ONLY),--only $(part))

.PHONY: chromium
chromium: ## Install Chromium for the end-to-end tests, if there is none (needs root)
	@sh tests/e2e/install_chromium.sh

.PHONY: snapshots
snapshots: $(STAMP) ## Regenerate the reviewed snapshots of SQL and spans
	$(BIN)/pytest -m "not slow" --snapshot-update tests

.PHONY: docs
docs: $(STAMP) ## Write the parts of the guides that come from the code: settings, command help
	$(BIN)/python -m tests.docs.reference

.PHONY: screenshots
screenshots: $(STAMP) chromium ## Take the pictures of the README again, from a real demo
	$(BIN)/python -m tests.docs.screenshots

.PHONY: hooks
hooks: $(STAMP) ## Have git run the checks of `make check` before each commit
	$(BIN)/pre-commit install

.PHONY: constraints
constraints: ## Write constraints.txt anew: the newest versions, from a fresh environment
	$(call new_venv,$(VENV)-constraints)
	$(VENV)-constraints/bin/python -m pip install --quiet '.[dev]'
	sed -n '/^#/p' constraints.txt > $(VENV)-constraints/pins
	$(VENV)-constraints/bin/python -m pip freeze --exclude gnomon >> $(VENV)-constraints/pins
	mv $(VENV)-constraints/pins constraints.txt
	rm -r $(VENV)-constraints

.PHONY: clean
clean: ## Remove .venv and what tools left behind; data directories stay
	rm -rf $(VENV) $(VENV)-constraints dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

##@ Measure it

.PHONY: conformance
conformance: $(STAMP) ## Post what real SDKs sent, by every transport, and hold it to the truth
	$(BIN)/python -m tests.captures.report

.PHONY: bench
bench: bench-ingest bench-freshness bench-dashboard ## Run every benchmark but the comparison with peers

.PHONY: bench-ingest
bench-ingest: $(STAMP) ## Ingest: acknowledged and queryable spans/s, RSS, CPU per span, by stage
	$(BIN)/python -m tests.bench.ingest

.PHONY: bench-freshness
bench-freshness: $(STAMP) ## Time from ack to queryable at 1,000 spans/s, and the cost of idling
	$(BIN)/python -m tests.bench.freshness

.PHONY: bench-dashboard
bench-dashboard: $(STAMP) chromium ## Every panel at 10 M spans, pages in Chromium, 30 viewers beside an ingest
	$(BIN)/python -m tests.bench.dashboard

.PHONY: bench-drift
bench-drift: $(STAMP) ## Drift: false alarms, delay until a shift is noticed, time at 10 M spans
	$(BIN)/python -m tests.bench.drift

.PHONY: bench-alerts
bench-alerts: $(STAMP) ## Alerts: sixty incidents a month found and missed, ticks of 1,000 rules
	$(BIN)/python -m tests.bench.alerts

.PHONY: bench-quality
bench-quality: $(STAMP) ## Answers judged a minute by one worker against a judge that takes 300 ms
	$(BIN)/python -m tests.bench.quality

.PHONY: bench-dashboard-peers
bench-dashboard-peers: $(STAMP) chromium ## The same views of the same spans in Gnomon's dashboard and in Phoenix's
	$(BIN)/python -m tests.bench.dashboard_peers

.PHONY: bench-peers
bench-peers: $(STAMP) ## The same requests against Phoenix and MLflow, side by side
	$(BIN)/python -m tests.bench.peers

.PHONY: bench-dialects
bench-dialects: $(STAMP) ## What ingest costs by dialect; OTHER=CHECKOUT runs another checkout's code in turns
	$(BIN)/python -m tests.bench.dialects $(if $(OTHER),--other $(OTHER))

.PHONY: bench-sdk
bench-sdk: $(STAMP) ## What the SDK adds to an LLM call, beside six other SDKs
	$(BIN)/python -m tests.bench.sdk

$(BIN)/pip:
	$(call new_venv,$(VENV))

$(STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
