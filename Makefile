# make help says what there is. Needs make and Python 3.11 or newer with pip; the rest is installed in .venv.

PORT ?= 5006
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# The first Python that is new enough.
ifndef PYTHON
PYTHON = $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$each"; exit; }; done)
endif
INSTALL = $(or $(PYTHON),$(error panel-streamer needs Python 3.11 or newer, and none was found; name one: make PYTHON=/path/to/python3)) tools/install.py

# What the last installation left. When nothing changed since, `run` starts at once, without asking for one.
STAMP := $(VENV)/installed.json
CURRENT = [ $(STAMP) -nt pyproject.toml ] && [ -x $(BIN)/python ] && grep -qF '"root": "$(CURDIR)"' $(STAMP)

CHECKED := streamer dashboards tests tools benchmarks
QUICK := not slow and not browser and not notebook
# All of these are marked so; importing them, only to leave them out, takes seconds.
NOT_QUICK := --ignore=tests/browser --ignore=tests/notebooks

.DEFAULT_GOAL := help
.PHONY: help run gallery install test quick long bench lint format clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: ## serve the dashboards on 127.0.0.1:5006 (another port: make run PORT=8006)
	@$(CURRENT) || $(MAKE) --no-print-directory --always-make $(STAMP)
	@exec $(BIN)/python -m streamer dashboards --port "$(PORT)"

gallery: ## show every view in each of its states on 127.0.0.1:5006, without a streamer
	@$(INSTALL)
	@PYTHONPATH=. exec $(BIN)/panel serve tests/gallery/gallery.py --address 127.0.0.1 --port $(PORT)

$(STAMP):
	@$(INSTALL)

install: ## make .venv with all that run, test and lint need
	@$(INSTALL) test lint

test: ## run all tests; installs what they need, browser and servers too (some of them: make test ARGS="-k log")
	@$(INSTALL) test
	@$(BIN)/python tools/packages.py
	@$(BIN)/python tools/suite.py $(ARGS)

quick: ## run the tests that need less than a minute together: no browser, no notebook, nothing slow
	@$(INSTALL) test
	@$(BIN)/python -m pytest -n 2 -m "$(QUICK)" $(NOT_QUICK) $(ARGS)

long: ## run for an hour: the tests marked long, then the promises and the pages at length
	@$(INSTALL) test bench
	@$(BIN)/python tools/packages.py
	@$(BIN)/python -m pytest --step=long $(ARGS) || [ $$? = 5 ]
	@$(BIN)/python benchmarks/long.py
	@$(BIN)/python benchmarks/soak.py

bench: ## measure everything beside its peers, in short forms: some five minutes
	@$(INSTALL) test bench
	@$(BIN)/python tools/packages.py bench
	@$(BIN)/python benchmarks/everything.py

lint: ## check style, format, types, the layers of imports, prose and sizes
	@$(INSTALL) test lint
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/style.py

format: ## format the code, and mend what ruff can mend
	@$(INSTALL) test lint
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

clean: ## remove .venv and all that tools leave behind
	rm -rf $(VENV) .venv-newer .venv.lock .venv-newer.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find streamer dashboards tests tools benchmarks notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
