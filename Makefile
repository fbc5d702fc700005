# Paddock. `make demo` and `make test` need nothing but Python 3.11 or newer; everything goes into .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PARTS  := engine sweeps trainers tui tests bench docs

# compat: a path in a .pth file; the default finder would add 25 ms to every start of Python here.
INSTALL := $(BIN)/pip install --quiet --config-settings editable_mode=compat --editable

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Hundreds of Pythons are started here, and each would compile all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test chaos check format lint types tui bench clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s:

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Paddock needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) .
	@touch $@

$(VENV)/.developing: pyproject.toml $(VENV)/.installed
	$(INSTALL) '.[dev]'
	@touch $@

install: $(VENV)/.installed ## a venv with Paddock in it

demo: $(VENV)/.installed ## sample data, three small Totos through the queue, the best exported and used
	$(BIN)/engine demo

test: $(VENV)/.developing ## the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist worksteal

chaos: $(VENV)/.developing ## 1,000 rounds of kill -9, full disks, torn files and moved clocks; ROUNDS=50 SEED=7 for fewer
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos --rounds $(or $(ROUNDS),1000) $(if $(SEED),--seed $(SEED))

thorough: $(VENV)/.developing ## the tests with thirty times the examples of every property, for a night
	PADDOCK_EXAMPLES=thorough OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist worksteal --timeout 3600

check: $(VENV)/.developing format lint types test ## all that a change must pass

format: $(VENV)/.developing
	$(BIN)/ruff format --check $(PARTS)

lint: $(VENV)/.developing
	$(BIN)/ruff check $(PARTS)

types: $(VENV)/.developing
	$(BIN)/mypy

tui: $(VENV)/.installed ## the screens
	$(BIN)/tui

bench: $(VENV)/.installed ## every figure of the README
	@for part in runlog runs schedule daemon store data loop cli tui tui_slow charts toto kronos kronos_training export forecast board; do echo "== bench/$$part.py"; $(BIN)/python bench/$$part.py; done

clean: ## everything that was installed or built; runs, database and data stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(PARTS) -name __pycache__ -type d -prune -exec rm -rf {} +
