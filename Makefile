# The two commands of the README are `make demo` and `make test`; each does its own set-up.
SHELL := /bin/bash
PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup-demo setup-dev demo test check bench soak format lock

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup-demo:
	@requirements/setup demo
setup-dev:
	@requirements/setup dev

demo: setup-demo  ## broker, server and three devices on this machine; `make demo ONCE=1` checks every claim and leaves
	@$(PY) -m demo $(if $(ONCE),--once)

test: setup-dev  ## every test, with a real broker, real databases and a real browser
	@$(PY) -m pytest -n 2 -q -m "not serial"
	@$(PY) -m pytest -q -m serial

check: setup-dev  ## formatting, lint, types, the directions of imports, deployment files, locked dependencies
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@$(PY) -m tests.support.check_files

bench: setup-dev  ## measurements, each with its baseline in the same run
	@$(PY) benchmarks/run.py

soak: setup-demo  ## the demo's fleet under traffic and rollouts for HOURS (default 1)
	@$(PY) -m demo --soak-hours $(or $(HOURS),1)

format: setup-dev  ## put the code in its one format
	@.venv/bin/ruff format -q . && .venv/bin/ruff check -q --fix .

lock:  ## write requirements/*.txt anew
	@requirements/lock
