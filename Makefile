# make install: the virtual environment    make demo: the main job on scanned digits    make test: lint, types, imports, tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install demo test lint format clean

$(BIN)/imgcls: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('imgcls_ray needs Python 3.11 or newer: make PYTHON=python3.12 ...' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[dev]"
	@# pip would compile on one CPU. Some files are for other Pythons: they can't be compiled, and are never imported.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib imgcls_ray serve || true
	@touch $@

install: $(BIN)/imgcls

demo: install
	$(BIN)/imgcls demo

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist *.egg-info
