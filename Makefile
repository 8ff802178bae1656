# The two commands of the README: make run, make test. Everything else is for those who work on continual_nb itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(CURDIR)/$(VENV)/bin
UNTIL  ?= 2013-08
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := true
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install run test check explore docs kills worth showcase export clean-notebooks demo-again

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

install: $(VENV)/ready  ## make the environment, once

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "continual_nb needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making the environment in $(VENV)/ (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: install  ## turn the crank in demo/ for eight months of real flights, and name the report to open
	@test -f demo/params.yaml || continual init demo
	@cd demo && continual run --until $(UNTIL)
	@echo "report to open: $(CURDIR)/demo/reports/index.html"

test: install  ## notebooks, unit, pipeline and fault tests
	@python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile tests

check: install  ## the large runs: a year of flights, five other projects, policies on known change, engines, clusters, a real browser
	@! command -v java >/dev/null || python -c 'import pyspark' 2>/dev/null || python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,spark]'
	@test -x .feast/bin/feast || { $(PYTHON) -m venv .feast && .feast/bin/python -m pip install --quiet --disable-pip-version-check 'feast>=0.67'; }
	@python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile checks

explore: install  ## the property tests on examples that nobody has seen yet
	@EXAMPLES=other python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile $$(grep -l '^from hypothesis' tests/*.py)

docs: install  ## the site of notebooks and docstrings, in _docs/; needs no network
	@python -m sphinx -q -W --keep-going -c docs . _docs
	@echo "site to open: $(CURDIR)/_docs/index.html"

kills: install  ## kill every command at every step, and on a full disk (hours; `make check` draws a sample, by the seed KILLS=0)
	@KILLS=all python -m pytest -q -p no:cacheprovider checks/test_kills.py

worth: install  ## the loop beside never, always and fixed schedules, on flights, on a stream that changes and one that does not
	@python benchmarks/worth.py $(or $(STREAMS),flights break:1 null:1) --data $(or $(DATA),data/streams)

showcase: install  ## a year of flights, its pages committed in reports/ and the README's picture
	@python benchmarks/showcase.py

export: install  ## notebooks -> package, and the root project's code hashes
	@ruff format -q nbs tests checks benchmarks docs && nbdev_clean && nbdev_export && python -c "from pathlib import Path; from continual_nb.loop.sync import sync; print(*sync(Path()), sep=chr(10))" && continual refresh

demo-again:  ## throw demo/ away, so that the next `make run` begins anew
	rm -rf demo
