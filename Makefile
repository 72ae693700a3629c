# What a user runs: `make demo` and `make test`. Both set everything up in .venv first.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
STAMP := $(VENV)/.stylereel-installed
# Stages, DVC and make use the same Python, and nothing reports home.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
unexport PYTHONPATH VIRTUAL_ENV PYTHONHOME

.PHONY: help setup demo check test coverage proof audit constraints clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 is needed, and none is on the PATH" >&2; exit 2; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { \
		echo "error: this Python cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; \
		rm -rf $(VENV); exit 2; }
	@test -x $(VENV)/bin/uv || { $(VENV)/bin/python -m pip --version >/dev/null 2>&1 || \
		$(VENV)/bin/python -m ensurepip --upgrade; } && { test -x $(VENV)/bin/uv || \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python -c constraints.txt -e . --group dev
	@$(VENV)/bin/python -m tasks.project configure
	@touch $(STAMP)

demo: setup ## the whole pipeline on the built-in sample: prepare, train, evaluate, stylize
	dvc repro
	@python -m flows where

check: setup ## ruff, mypy, the import linter, the limits of size
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	python -m pytest tests/test_house_rules.py

test: setup ## the tests, one process a core; with CI set, as `make coverage`
	python -m pytest -n auto $(if $(CI),--cov --cov-report=term)

coverage: setup ## the tests, with a floor under their coverage
	python -m pytest -n auto --cov --cov-report=term

proof: setup ## the slow checks: kills, damage, servers, browsers
	python -m pytest proofs --timeout 1800

# Both tools run in environments of their own. --strict: a package that cannot be looked up is an error, not a pass.
audit: setup ## known vulnerabilities of constraints.txt, and licences; asks PyPI, so not part of check
	uv tool run --from 'pip-licenses>=5.5,<6' pip-licenses --python $(VENV)/bin/python --from mixed --order license
	uv tool run --from 'pip-audit>=2.10,<3' pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

constraints: setup ## write constraints.txt from what is installed
	@uv pip freeze --python $(VENV)/bin/python --exclude-editable \
		| grep -Ev '^(nvidia-|cuda-|triton|uv=)' | sort -f > constraints.txt

clean: ## remove the environment and the caches of the tools, not data or models
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
