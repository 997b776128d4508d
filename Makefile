# Everything here works on a bare machine with Python 3.11 or newer: what is missing is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
DATA ?= mnist_5k
ARGS ?=
# Many tests wait for processes, so one more than there are cores; each takes 1.5 GB.
WORKERS ?= $(shell expr $$(nproc) + 1)
EXTRAS ?= docs onnx ray server

BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := $(BIN)/python -m src.train

.DEFAULT_GOAL := help
.PHONY: help install sweep train test extras test-all lint watch ui serve server series report studies check doctor bench gpu-check docs clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

install: $(READY)  ## set up the environment (about two minutes the first time)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

sweep: $(READY)  ## compare the three cells, four seeds each (DATA=mnist ARGS='seed=0,1')
	$(RUN) -m +sweep=cells data=$(DATA) $(ARGS)

train: $(READY)  ## train one trial (ARGS='model=gru model.hidden_size=64')
	$(RUN) data=$(DATA) $(ARGS)

test: $(READY)  ## run the tests but the slow ones (ARGS=tests/models)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' $(ARGS)

extras: $(READY)  ## install the extras that can be installed here, without which some tests are skipped
	@for extra in $(EXTRAS); do \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$$extra]" \
	    || echo "The extra $$extra cannot be installed: its tests are skipped."; \
	done

test-all: extras  ## run every test, with the extras that can be installed here, and report the coverage
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report= -m 'not ray' $(ARGS)
	$(BIN)/python -m pytest --cov --cov-append --cov-report=term:skip-covered -m ray

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

watch: $(READY)  ## watch and steer the latest sweep on a page, live (PORT=8001 ARGS='sweep=latest')
	$(BIN)/python -m src.watch $(ARGS) $(or $(PORT),8001)

ui: $(READY)  ## open the MLflow UI over the same store (PORT=5000)
	$(BIN)/python -m src.ui $(or $(PORT),5000)

serve: $(READY)  ## draw a digit and watch the cells read it (PORT=8000)
	$(BIN)/python -m src.serve $(or $(PORT),8000)

server: $(READY)  ## PostgreSQL and an MLflow server on it, for trying out (PORT=5001)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[server]'
	$(BIN)/python -m benchmarks.postgres $(or $(PORT),5001)

series: $(READY)  ## fetch small sets of time series, for data=ts data.dataset=NAME
	$(BIN)/python -m src.series

report: $(READY)  ## verdict, figures and tables of a sweep (ARGS='sweep=latest metric=test/acc')
	$(BIN)/python -m src.report $(ARGS)

studies: $(READY)  ## list the studies, how far each has come and what it took (ARGS='study=NAME' writes its page)
	$(BIN)/python -m src.studies $(ARGS)

check: $(READY)  ## hold a sweep against the champion (ARGS='sweep=latest baseline=champion margin=0.2')
	$(BIN)/python -m src.check $(ARGS)

doctor: $(READY)  ## list runs that say something untrue about themselves, and repair them
	$(BIN)/python -m src.doctor

bench: $(READY)  ## the harness beside a hand-written loop, the usual Lightning set-up and Keras
	$(BIN)/python -m benchmarks.solo $(ARGS)

gpu-check: $(READY)  ## the first minutes on a machine with a GPU (ARGS='--data FOLDER --stages 1 2')
	$(BIN)/python -m benchmarks.gpu_check $(ARGS)

docs: $(READY)  ## build the documentation into site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m docs.pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Read it: site/index.html"

clean:  ## remove caches and build products (runs, data and the environment stay)
	rm -rf build site *.egg-info .pytest_cache .mypy_cache .ruff_cache outputs multirun multirun.yaml
	find conf docs src tests benchmarks -name __pycache__ -type d -exec rm -rf {} +
