# make book | test | lint | bench: each makes .venv first, when it is missing or the requirements changed.
# Any of these can be set on the command line:
#   PYTHON=python3.12                      the interpreter that .venv is made with (3.11 or newer)
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu    Linux without a GPU: the small CPU build of torch
#   PIP_ARGS="..."                         anything else that pip should be told
#   WORKERS=2                              tests that run at once
PYTHON ?= python3
PIP_ARGS ?=
TORCH_INDEX ?=
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.made

.PHONY: book test lint bench .venv clean

book: $(STAMP)
	$(BIN)/python -m icl_lab book

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m icl_lab.book.notebooks

bench: $(STAMP)
	$(BIN)/python -m benchmarks.run

.venv: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, $(PYTHON) is %d.%d; try make PYTHON=python3.12." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making .venv"; $(PYTHON) -m venv --clear .venv; }
	$(BIN)/python -m pip install --quiet --no-compile $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(PIP_ARGS) -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps $(PIP_ARGS) -e .
	touch $@

clean:
	rm -rf _build .book
