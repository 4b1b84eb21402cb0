SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
ENGINE ?= local
DEMO ?= classify
BIN := .venv/bin

##@ Start here

.PHONY: help
help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z_-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(BIN)/tench ## Make .venv with everything, and .venv/bin/tench

$(BIN)/tench: pyproject.toml $(wildcard requirements/*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[job,dev]'
	@touch $@

.PHONY: demo
demo: setup ## Label the demo images; DEMO=classify|vit|detect ENGINE=local|ray
	@$(BIN)/python -m scripts.demo $(DEMO) --engine $(ENGINE)

##@ Work on it

.PHONY: test
test: setup ## All tests that need no Docker; those of the chart need helm
	@$(BIN)/python -m pytest

.PHONY: test-slow
test-slow: setup ## The tests that make test leaves out for their time, and a thousand pictures against the plain pipelines
	@TENCH_PARITY_PICTURES=1000 $(BIN)/python -m pytest -m 'slow or parity'

.PHONY: lint
lint: setup ## ruff, mypy --strict, the import laws, and whether generated files are fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.generate --check

.PHONY: format
format: setup ## Format the code and refresh generated files
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/python -m scripts.generate

.PHONY: crds
crds: setup ## Fetch KubeRay's CRDs, which the chart's tests compare with; needs Go
	@$(BIN)/python -m scripts.kind.crds

.PHONY: bench
bench: setup ## Ours, the plain Ray Data pipeline, a DataLoader loop and a bare loop on the same images
	@$(BIN)/python -m scripts.bench

.PHONY: mutants
mutants: setup ## Small changes of job/plan, results, stages and stores that no test notices; MUTANTS=job/plan/freeze.py for one file
	@test -x $(BIN)/mutmut || $(BIN)/python -m pip install --quiet --requirement requirements/mutants.txt
	@$(BIN)/python -m scripts.mutants $(MUTANTS)

.PHONY: floors
floors: setup ## The tests of models, stages and sources with the lowest versions that are allowed; downloads 3 GB once
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --requirement requirements/floors.txt
	@test -x build/floors/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python build/floors
	@$(BIN)/uv pip install --quiet --python build/floors/bin/python --resolution lowest-direct -r pyproject.toml --extra job --extra dev
	@PYTHONPATH=. build/floors/bin/python -m pytest tests/job/models tests/job/stages tests/job/sources

##@ On a cluster

.PHONY: image
image: setup ## Build the image, and say its size and what takes it
	@$(BIN)/python -m scripts.kind.image

.PHONY: kind-test
kind-test: setup ## A kind cluster, KubeRay, S3 and GPUs by name, end to end; KEEP=1 leaves it for the next call
	@$(BIN)/python -m scripts.kind $(TESTS)

.PHONY: clean
clean: ## Remove what the targets above made, but .venv
	rm -rf build demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
