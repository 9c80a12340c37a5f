# Everything a person runs here. `make demo` and `make test` set themselves up; both need only
# Python 3.11, make and a package index. Behind a mirror: PIP_INDEX_URL=... make demo
PYTHON ?= python3
BIN := .venv/bin
OUT ?= out/demo
export RAY_USAGE_STATS_ENABLED = 0

.PHONY: help setup setup-dev browser demo test quick lint format bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 14

setup: .venv/ready  ## a .venv in this checkout with Stretto and what it runs on
setup-dev: .venv/ready-dev  ## the same, with the test and lint tools

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/ready: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,qa,ray]'
	@touch $@

.venv/ready-dev: pyproject.toml constraints.txt | .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

browser:  ## Chromium for the page's test, where apt can install it (skipped with a word elsewhere)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "no Chromium here: the browser test will be skipped"

demo: setup  ## the main job on the example input, then validate, stats, training and the page
	$(BIN)/stretto generate examples/quickstart.yaml --out $(OUT)
	$(BIN)/stretto fit examples/quickstart.yaml $(OUT)
	$(BIN)/stretto validate $(OUT)
	$(BIN)/stretto stats $(OUT)
	$(BIN)/stretto train examples/train_quickstart.yaml --set corpus=$(OUT) --set out=$(OUT)/train
	$(BIN)/stretto view $(OUT) --out $(OUT)/page.html
	@echo
	@echo "corpus      $(OUT)/{train,val}/*.tar  (index.parquet, dataset.json, README.md)"
	@echo "codecs      $(OUT)/codecs"
	@echo "training    $(OUT)/train (log.jsonl, report.json, checkpoints)"
	@echo "page        $(OUT)/page.html  (open it in a browser: it plays)"

test: setup-dev browser  ## every test
	$(BIN)/python -m pytest tests

quick: setup-dev  ## the tests that take seconds
	$(BIN)/python -m pytest tests -m "not slow"

lint: setup-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev  ## the figures of benchmarks/README.md
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf out build dist *.egg-info
