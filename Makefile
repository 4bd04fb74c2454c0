# Everything that a newcomer, a developer or a CI runs. `make` alone lists it.

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --require-hashes
COMPILE := .venv/bin/uv pip compile pyproject.toml --quiet --universal \
	--generate-hashes --no-header --no-emit-index-url

# Installs $(1) for $(2) with apt-get, as root or through sudo. A mirror that is
# broken matters only if the package can't be had without it.
define apt_install
	say() { echo "warmbox: $$*" >&2; exit 1; }; \
	command -v apt-get >/dev/null || say "please install $(2): there is no apt-get"; \
	sudo=; [ "$$(id -u)" = 0 ] || { sudo=sudo; command -v sudo >/dev/null \
		|| say "please install $(1) as root: there is no sudo"; }; \
	echo "Installing $(1)"; \
	$$sudo apt-get -q update || echo "warmbox: going on with what is known" >&2; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qy install \
		--no-install-recommends -o DPkg::Lock::Timeout=300 $(1) \
		|| say "please install $(2)"
endef

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: .venv/run.stamp docker  ## start the service; ARGS="--port 9000" is handed on
	@$(PY) run.py images build
	@exec $(PY) run.py serve --self-check $(ARGS)

.PHONY: run-rabbitmq
run-rabbitmq: .venv/run.stamp docker rabbitmq  ## one gateway and two workers on RabbitMQ; PORT=9000 is the gateway's
	@$(PY) run.py images build
	@PYTHON=$(PY) exec bash supervisors/several.sh $(ARGS)

# Linting waits for nobody, and takes one processor while images mostly wait for packages.
.PHONY: test
test: .venv/dev.stamp docker chromium rabbitmq-server  ## set everything up, then check and test it all
	@lint=$$(mktemp); trap 'rm -f "$$lint"' EXIT; \
	$(MAKE) --no-print-directory lint >"$$lint" 2>&1 & \
	$(PY) run.py images build; \
	clean=0; wait $$! || clean=$$?; cat "$$lint"; exit $$clean
	@$(PY) -m gevent.monkey --module pytest $(ARGS)

.PHONY: lint
lint: .venv/dev.stamp  ## linter, formatting and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

.PHONY: format
format: .venv/dev.stamp  ## format, and mend what the linter can mend
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

.PHONY: images
images: .venv/run.stamp docker  ## build the images that are missing or have changed
	@$(PY) run.py images build

# A quick run is for whoever changes something, and leaves the report of docs/ alone.
.PHONY: bench
bench: .venv/dev.stamp docker  ## measure it beside a bare process and others; QUICK=1 takes two minutes
	@$(PY) run.py images build
	@exec $(PY) tests/bench/bench.py $(if $(QUICK),--quick --out .bench) $(ARGS)

MINUTES ?= 10

.PHONY: fuzz
fuzz: .venv/dev.stamp docker  ## attack a service of its own through its API; MINUTES=10 SEED=1 ARGS="--only 5/14"
	@$(PY) run.py images build
	@$(PY) -m gevent.monkey tests/fuzz/fuzz.py \
		--minutes $(MINUTES) --seed $(or $(SEED),1) $(ARGS)

.PHONY: hostile
hostile: .venv/dev.stamp docker  ## one hostile client beside innocent ones: what these wait; SECONDS=60
	@$(PY) run.py images build
	@PYTHONPATH=tests/service:tests/hostile $(PY) -m gevent.monkey --module make_hostile \
		--seconds $(or $(SECONDS),60) $(ARGS)

.PHONY: vm
vm: .venv/run.stamp docker  ## try the service on cgroup v2, in a virtual machine
	@$(PY) run.py images build python
	@PYTHON=$(PY) exec bash tests/vm/vm.sh

# What makes faults imports the tests' own modules.
FAULTS := PYTHONPATH=.:tests:tests/service:tests/faults $(PY) -m gevent.monkey

.PHONY: faults
faults: .venv/dev.stamp docker rabbitmq-server  ## break every part under load, and judge; ARGS="docker clock" picks by name
	@$(PY) run.py images build
	@$(FAULTS) tests/faults/faults.py $(ARGS)

# How long, and from which seed on: `make chaos MINUTES=5 SEED=1 ARGS="--seeds 10"`.
.PHONY: chaos
chaos: .venv/dev.stamp docker rabbitmq-server  ## seeded faults and load for MINUTES=10 from SEED, on both brokers
	@$(PY) run.py images build
	@$(FAULTS) tests/faults/chaos.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: soak
soak: MINUTES = 30
soak: .venv/dev.stamp docker  ## mixed jobs and faults for MINUTES=30, drawn in soak.png
	@$(PY) run.py images build
	@$(FAULTS) tests/faults/soak.py --minutes $(MINUTES) $(ARGS)

.PHONY: lock
lock: .venv/dev.stamp  ## pin the dependencies of pyproject.toml anew
	$(COMPILE) --upgrade --output-file requirements.lock
	$(COMPILE) --upgrade --group dev --constraints requirements.lock \
		--output-file requirements-dev.lock

.PHONY: clean
clean:  ## remove the virtual environment, the machine and all caches, but no image
	rm -rf .venv .vm .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- what they need

.PHONY: docker
docker: .venv/bin/pip
	@PYTHON=$(PY) bash images/docker.sh

# The one to serve with; the tests only need the programs, and start servers themselves.
.PHONY: rabbitmq rabbitmq-server
rabbitmq: .venv/bin/pip
	@PYTHON=$(PY) bash actors/broker/rabbitmq.sh
rabbitmq-server: .venv/bin/pip
	@PYTHON=$(PY) bash actors/broker/rabbitmq.sh install

.PHONY: chromium
chromium:
	@for name in chromium chromium-browser google-chrome; do \
		if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	$(call apt_install,chromium fonts-dejavu-core,Chromium)

# pip is the last thing that appears in a virtual environment, so a set-up that was
# interrupted starts again.
.venv/bin/pip:
	@for python in $(PYTHON) /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do \
		version=$$($$python -c 'import sys; v = sys.version_info; \
			print("%d.%d" % v[:2]); sys.exit(v < (3, 11))' 2>/dev/null) && break; \
	done || { echo "warmbox: Python 3.11 or newer is needed" >&2; exit 1; }; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		$(call apt_install,python$$version-venv,the venv module of Python $$version); \
	fi; \
	echo "Making a virtual environment with Python $$version"; \
	$$python -m venv --clear .venv

.venv/run.stamp: requirements.lock | .venv/bin/pip
	@echo "Installing the locked dependencies"
	@$(PIP) -r requirements.lock
	@touch $@

# The development lock holds all of the other one, in the same versions.
.venv/dev.stamp: requirements-dev.lock | .venv/bin/pip
	@echo "Installing the locked dependencies for development"
	@$(PIP) -r requirements-dev.lock
	@touch $@ .venv/run.stamp
