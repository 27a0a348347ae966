# The two commands of the README are `make demo` and `make test`; each does its own set-up.
SHELL := /bin/bash
PY := .venv/bin/python
HIL_REPORT := --junit-xml build/hil/junit.xml --html build/hil/report.html --self-contained-html
.DEFAULT_GOAL := help
.PHONY: help setup-demo setup-dev demo test check check-code bench soak format lock firmware test-firmware size hil deb arm64

help:  ## what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

setup-demo:
	@requirements/setup demo
setup-dev:
	@requirements/setup dev

demo: setup-demo  ## broker, server, three devices and a microcontroller on this machine; `make demo ONCE=1` checks every claim and leaves
	@$(PY) -m demo $(if $(ONCE),--once)

test: setup-dev  ## every test, with a real broker, real databases and a real browser
	@$(PY) -m pytest -n 4 --dist worksteal -q -m "not serial and (not hil or smoke)"
	@$(PY) -m pytest -q -m serial

check: setup-dev  ## formatting, lint, types, the directions of imports, deployment files, locked dependencies, the firmware's size; its parsers fuzzed for a minute each
	@firmware_tflm/tools/fuzz 60 & fuzzing=$$!; $(MAKE) -s check-code || { kill $$fuzzing; exit 1; }; wait $$fuzzing

check-code:
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@$(PY) -m tests.support.check_files
	@firmware_tflm/tools/generate-decoders --check
	@$(PY) firmware_tflm/tools/size --check

firmware: setup-dev  ## the microcontroller firmware for this machine and for QEMU's Cortex-M4 and Cortex-M55 boards
	@for preset in host m4 m55; do (cd firmware_tflm && cmake --preset $$preset && cmake --build --preset $$preset) || exit; done

test-firmware: setup-dev  ## the firmware's own tests: units and power cuts on this machine, the contract's vectors in C
	@$(PY) -m pytest -q tests/firmware

size: setup-dev  ## what the firmware takes on a Cortex-M4, against firmware_tflm/size-budget.toml
	@$(PY) firmware_tflm/tools/size

hil: setup-dev  ## scenarios on devices: this machine's, QEMU's boards, or TARGETS="m4 bench-esp32"; TFLM_ROOT=DIR builds TFLM in
	@$(PY) -m pytest hil -v --targets "$(TARGETS)" --tflm-root "$(TFLM_ROOT)" $(HIL_REPORT)

bench: setup-dev  ## measurements, each with its baseline in the same run; PEERS=1 installs mlserver to compare with
	@$(PY) benchmarks/run.py $(if $(PEERS),--peers)

soak: setup-dev  ## agents killed at every write and swapped 1,000 times; the demo's fleet under traffic and rollouts for HOURS (default 1); the firmware's parsers fuzzed
	@DUNLIN_SOAK=1 $(PY) -m pytest -n 4 --dist load -q tests/agent/kill
	@$(PY) -m demo --soak-hours $(or $(HOURS),1)
	@firmware_tflm/tools/fuzz 600

deb: setup-demo  ## the agent's Debian packages into build/deb, for this machine or ARCH=arm64
	@packaging/deb/build $(ARCH)

arm64: setup-demo  ## the agent on an emulated 64-bit ARM, against a fleet on this machine (as root; minutes); RUNTIME=onnxruntime
	@packaging/deb/build arm64 && packaging/arm64/build && packaging/arm64/try $(RUNTIME)

format: setup-dev  ## put the code in its one format
	@.venv/bin/ruff format -q . && .venv/bin/ruff check -q --fix .

lock:  ## write requirements/*.txt anew
	@requirements/lock
