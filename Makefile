# make up        run the server on this machine, demo people included; Ctrl-C stops everything
# make test      the tests; make test-long the ones that take minutes
# make bench     the benchmarks, against a server of their own
PYTHON ?= python3
PORT ?= 8000
DATA ?= data
BIN := .venv/bin

.PHONY: setup up test test-long lint format bench lock
.DEFAULT_GOAL := setup

setup: .venv/installed
	@:

# --require-hashes: exactly the locked files, whatever the registry offers today.
.venv/installed: requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@echo "Environment: installing the locked packages ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

up: setup
	@exec $(BIN)/python manage.py up --port $(PORT) --data $(DATA)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: setup
	$(BIN)/python -m pytest -m long --timeout 5400

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m benchmarks bench

# Versions and hashes, no addresses. `uv` comes from the environment that runs this.
lock:
	uv pip compile requirements.in -o requirements.lock $(LOCK)
	uv pip compile requirements-dev.in -o requirements-dev.lock $(LOCK)
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
