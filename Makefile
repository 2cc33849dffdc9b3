# `make demo`, `make test` and `make docs`. Each sets up a virtual environment of its own first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test test-fast docs lint audit lock setup setup-test clean
.DEFAULT_GOAL := demo

demo: setup
	$(BIN)/overread demo --out overread-demo

test: setup-test
	$(BIN)/python -m pytest -n 2 --dist worksteal --doctest-modules src
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The documentation site; a warning is an error.
docs: setup-test
	$(BIN)/python -m sphinx -b html -n -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html

# While working: every package, without the tests marked slow.
test-fast: setup-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

# Known vulnerabilities of what is installed (where their database can be reached), licences, and bundled libraries.
audit: setup-test
	$(BIN)/python validation/audit.py

# After a change of pyproject.toml or constraints.txt: the same versions with the hashes of their files on every platform.
# What torch alone needs on Linux with CUDA is left out with it.
lock:
	for extra in train dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --constraint constraints.txt --extra $$extra pyproject.toml build-requirements.txt \
	    $(foreach name,$(WITH_TORCH),--no-emit-package $(name)) \
	    --output-file requirements$$(test $$extra = dev && echo -dev).lock; \
	done

WITH_TORCH := torch triton setuptools cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti \
  cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink \
  nvshmem-cu13 nvtx)

setup: $(VENV)/.installed
setup-test: $(VENV)/.installed-test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("overread needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Try: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# Every file is checked against its hash in the lock, but for torch, whose file depends on the index that it comes from
# (CPU or CUDA). It has an exact version: a range would take a build with gigabytes of CUDA.
INSTALL := $(BIN)/python -m pip install --quiet
$(VENV)/.installed: pyproject.toml constraints.txt requirements.lock | $(BIN)/python
	$(INSTALL) --no-deps --require-hashes --only-binary :all: --requirement requirements.lock
	$(INSTALL) --constraint constraints.txt torch==2.13.0
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-dev.lock
	$(INSTALL) --no-deps --require-hashes --requirement requirements-dev.lock
	@touch $@

clean:
	rm -rf $(VENV) overread-demo docs/_build docs/notebooks docs/reference/api
