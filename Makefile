# make demo: set up .venv and train on Kuhn poker.   make test: set up .venv and run the tests.
# make coverage: the same tests, and the lines and branches of psro/ and games/ that none of them runs.
# make test-slow: the checks that take longer, those marked `slow`, which `make test` leaves out.
# make notebooks: run the cells of examples/.
# make playthroughs: write tests/playthroughs/ again, after a change of results that is meant.
# make docs: build the documentation into site/, warnings being errors.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-slow coverage notebooks playthroughs lint docs install

# The constraints are the exact versions that were tested, for the Python at hand.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

install: .venv/installed

demo: install
	$(BIN)/psro run --game kuhn_poker
	@echo; echo 'psro is installed in .venv; to type it without the folder: . $(BIN)/activate'

FAST = pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m 'not slow'

test: install
	$(BIN)/python -m $(FAST)

test-slow: install
	$(BIN)/python -m pytest -m slow

notebooks: install
	$(BIN)/python -m pytest -m slow tests/test_notebooks.py

coverage: install
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(FAST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under 98

playthroughs: install
	$(BIN)/python tests/playthroughs.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/installed-docs
	$(BIN)/mkdocs build
