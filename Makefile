# Everything is made with a Python, pip, git and this file: `make help` says what.

# The Python that the environments are made with: make test PYTHON=python3.12
PYTHON ?= python3

# The releases of Airflow that are tested, the newest of each series; the last one is developed on. Each has its pins in
# constraints/. Airflow 2.11 and 3.0 run on no newer Python than 3.12.
AIRFLOWS := 2.11.2 3.0.6 3.1.8 3.2.2 3.3.2
PYTHONS := 3.11 3.12 3.13
pythons = $(if $(filter 2.11.% 3.0.%,$(1)),3.11 3.12,$(PYTHONS))
CELLS := $(foreach airflow,$(AIRFLOWS),$(foreach python,$(call pythons,$(airflow)),$(airflow)-python$(python)))

# Where today's newest dependencies break an Airflow of yesterday, `make constraints` is told how far it may go.
BOUNDS-3.0.6 := fastapi<0.132 pyjwt<2.11 universal-pathlib<0.3
BOUNDS-lowest := universal-pathlib<0.3
PIN_FLAGS-3.2.2 := --exclude-newer 2026-06-15

# What the wheel is tested with under each of them.
MATRIX_TESTS := tests/integration/airflow tests/test_example_dags.py

# How many cells run at a time: half of a cell's time its tests wait, and its last file keeps one process busy alone.
JOBS := 2

# What somebody new has, who follows the README.
STRANGERS := 2.11.2 3.3.2

# The parts of a cell such as 3.1.8-python3.13; one without a Python, 3.1.8, has that of .venv.
airflow_of = $(firstword $(subst -, ,$(1)))
python_of = $(or $(word 2,$(subst -, ,$(1))),$(BIN)/python)

series = $(basename $(1))
constraints = constraints/airflow-$(call series,$(1)).txt
NEWEST := $(lastword $(AIRFLOWS))
PINS := $(call constraints,$(NEWEST))

# All that the package offers, and the groups of pyproject.toml that its tests need on top: those of every release, and
# of the newest one. In a variable, for a comma would end an argument of a call.
EXTRAS := [sandbox,parquet]
TESTS := --group test
NEWEST_TESTS := --group test --group browser --group pipelines
NEWEST_WHEEL := --group test --group pipelines --group yaml-dags

# As many processes as there are cores, but few: each makes an Airflow of its own. A file's tests share what they set up.
SPREAD := --numprocesses auto --maxprocesses 4 --dist loadfile

BIN := .venv/bin
INSTALLED := .venv/installed

# Bytecode is kept, as Python does by default: else pytest rewrites all tests at each run, a quarter of what make quick takes.
unexport PYTHONDONTWRITEBYTECODE

# Install into the environment $(1), with the pins of the file $(2), what $(3) names. uv takes seconds where pip takes a minute,
# but mirrors and certificates may be set up for pip alone; pip knows groups since 25.1. Both compile: five processes of an
# Airflow start at a time, and each would compile all of it the first time.
install = $(BIN)/uv pip install --quiet --compile-bytecode --python $(1) --constraint $(2) $(3) || \
	{ echo "uv could not; pip may, which takes a minute"; \
	$(1)/bin/python -m pip install --quiet --upgrade 'pip>=25.1' && \
	$(1)/bin/python -m pip install --quiet --constraint $(2) $(3); }

# What the wheel is installed with under the Airflow $(1).
wheel_tests = $(if $(filter $(1),$(NEWEST)),$(NEWEST_WHEEL),$(TESTS))

.DEFAULT_GOAL := help
.PHONY: help demo ui test lint types format quick coverage e2e chaos campaign production bench docs docs-links matrix cells lowest pythons dist stranger constraints clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## Take 20 rows through a pipeline on a real Airflow, against the sandbox
	$(BIN)/python -m demo

ui: $(INSTALLED) ## Keep the demo's Airflow and sandbox up, to click around in
	$(BIN)/python -m demo --ui

test: lint types ## Check style and types, run all tests but the slow end-to-end ones
	$(BIN)/pytest tests --ignore=tests/e2e $(SPREAD)

lint: $(INSTALLED) ## Check style, format, import rules and the files of .github
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml

types: $(INSTALLED) ## Check types
	$(BIN)/mypy

format: $(INSTALLED) ## Format, and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

quick: $(INSTALLED) ## Run the pure tests, each property with two examples: two seconds of tests, about three of pytest
	$(BIN)/pytest tests/unit --hypothesis-profile=quick

coverage: $(INSTALLED) ## See that tests of the client and of the rules take every branch
	$(BIN)/pytest tests/unit tests/integration/client tests/scale $(SPREAD) --cov=flora_provider.api --cov=flora_provider.runs --cov=flora_provider.catalog --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=100

e2e: $(INSTALLED) ## Kill pieces of a real Airflow and see that nothing is lost or paid twice
	$(BIN)/pytest tests/e2e

chaos: $(INSTALLED) ## The same at length: make chaos ROUNDS=200 SEED=7
	$(BIN)/python -m tests.e2e.chaos $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED))

campaign: $(INSTALLED) ## Kill what runs batches of many rows: make campaign SEEDS=20 SEED=8 ROWS=500
	$(BIN)/python -m tests.e2e.batch $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) $(if $(ROWS),--rows $(ROWS))

production: $(INSTALLED) ## Strike Airflow on PostgreSQL and Celery, with two of all: make production SEED=2
	$(BIN)/python -m tests.e2e.production $(if $(SEED),--seed $(SEED))

bench: $(INSTALLED) ## Measure what waiting costs, beside HttpEventTrigger; takes an hour
	$(BIN)/python -m benchmarks --write

docs: $(INSTALLED) ## Build the pages of docs/ into docs/_build/html; a warning or a dead link inside them fails
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --builder html docs docs/_build/html

docs-links: $(INSTALLED) ## Try the links of these pages that lead elsewhere; needs a network
	$(BIN)/sphinx-build --quiet --builder linkcheck docs docs/_build/links

matrix: .matrix/wheel ## Test the built wheel under each supported Airflow and Python; prints a table
	rm -rf $(CELLS:%=.matrix/%)
	-$(MAKE) --keep-going --jobs=$(JOBS) --output-sync=target $(CELLS:%=matrix-%)
	$(BIN)/python -m tests.matrix .matrix $(CELLS)

cells: # Say what the matrix is made of
	@printf '%s\n' $(CELLS)

# One cell of it: make matrix-3.1.8-python3.13, or make matrix-3.1.8 with the Python of .venv.
matrix-%: .matrix/wheel
	$(call test_wheel,$*,$(call python_of,$*),$(call constraints,$(call airflow_of,$*)),$(call wheel_tests,$(call airflow_of,$*)))

lowest: .matrix/wheel ## Test the built wheel with the lowest versions that it asks for
	$(call test_wheel,lowest,$(BIN)/python,constraints/lowest.txt,$(TESTS))

# Test the wheel in the environment .matrix/$(1), made with the Python $(2), the pins of the file $(3) and the groups $(4).
# The tests are copied away, so that they cannot import the checkout in place of the wheel.
define test_wheel
rm -rf .matrix/$(1)
$(2) -m venv .matrix/$(1)
$(call install,.matrix/$(1),$(3),"$$(ls .matrix/wheel/*.whl)$(EXTRAS)" $(4))
.matrix/$(1)/bin/python -m pip check
mkdir .matrix/$(1)/checkout
cp -R pyproject.toml tests example_dags docs .matrix/$(1)/checkout
cd .matrix/$(1)/checkout && ../bin/python -c \
	"import flora_provider as p; assert 'site-packages' in p.__file__, p.__file__; print('testing', p.__file__)"
cd .matrix/$(1)/checkout && ../bin/pytest $(MATRIX_TESTS) $(SPREAD) --junit-xml ../results.xml
endef

pythons: $(foreach version,$(filter-out 3.11,$(PYTHONS)),python-$(version)) ## Test under the other Pythons; they are found on the PATH

# The newest Airflow, and the tests that need no second process of it.
python-%: $(INSTALLED)
	rm -rf .matrix/python-$*
	python$* -m venv .matrix/python-$*
	$(call install,.matrix/python-$*,$(PINS),--editable '.$(EXTRAS)' $(NEWEST_TESTS))
	.matrix/python-$*/bin/pytest tests/unit tests/integration tests/sandbox $(SPREAD)

.matrix/wheel: $(INSTALLED) $(shell find flora_provider -name '*.py') airflow_provider_flora.py pyproject.toml README.md
	rm -rf $@ build # else files that are gone would be in the wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $@ .

dist: $(INSTALLED) ## Build what is released, and check it as PyPI would
	rm -rf dist build # else files that are gone would be in the wheel
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

stranger: $(foreach version,$(STRANGERS),stranger-$(version)) ## Install the wheel alone, and do what the README says, twice

stranger-%: .matrix/wheel
	rm -rf .matrix/stranger-$*
	$(BIN)/python -m venv .matrix/stranger-$*
	$(call install,.matrix/stranger-$*,$(call constraints,$*),"$$(ls .matrix/wheel/*.whl)[sandbox]")
	$(BIN)/python -m tests.stranger .matrix/stranger-$*

constraints: $(AIRFLOWS:%=constraints-%) constraints-lowest ## Pin the newest versions of all dependencies anew, and the lowest ones

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --extra sandbox --extra parquet --no-header --no-annotate

# One file serves every Python: the same versions for all, and lines that a Python does not need do no harm.
constraints-%: $(INSTALLED)
	printf '%s\n' 'apache-airflow==$*' uv $(BOUNDS-$*:%='%') | $(COMPILE) --universal --fork-strategy fewest $(PIN_FLAGS-$*) \
		--group $(if $(filter $*,$(NEWEST)),dev --group yaml-dags,test) --output-file .venv/pins pyproject.toml -
	sed 's/ *;.*//' .venv/pins > $(call constraints,$*)
	rm .venv/pins

# The lowest of what the package asks for, and what that and the tests need, of the day of the youngest of them: the newest
# providers, say, ask for a newer common-compat themselves.
constraints-lowest: $(INSTALLED)
	echo '$(BOUNDS-lowest)' | $(COMPILE) --exclude-newer 2026-03-15 --resolution lowest-direct --constraint - --output-file .venv/lowest pyproject.toml
	$(COMPILE) --exclude-newer 2026-03-15 --constraint .venv/lowest --group test --output-file constraints/lowest.txt pyproject.toml
	rm .venv/lowest

clean: ## Remove what the other targets made
	rm -rf .venv .matrix .demo dist build docs/_build *.egg-info test-artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS) uv
	$(call install,.venv,$(PINS),--editable '.$(EXTRAS)' --group dev)
	@touch $@
