# What a person does with this tree. `make help` lists it.
#
# Set-up is part of every target: it needs Python 3.11 to 3.14, make and the
# package registries, and neither root nor a container. It is remembered by
# the content of the locks, so it costs nothing while they stay the same.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:
.DELETE_ON_ERROR:

# The first Python on PATH that fits; `make PYTHON=/path/to/python` names one.
fits := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 \
	python3.11; do "$$python" -c '$(fits)' 2>/dev/null && \
	{ command -v "$$python"; break; }; done)

VENV := .venv
RUN := $(VENV)/bin/python
UV := .tools/uv/bin/uv
digest = $(shell cat $(1) | sha256sum | cut -c1-16)
UV_READY := .tools/uv/.ready-$(call digest,requirements-tools.lock)
READY := $(VENV)/.ready-$(call digest,requirements-all.lock \
	requirements-tools.lock pyproject.toml)

export UV_PYTHON_DOWNLOADS := never
# The certificates that the machine trusts, not only those in each tool:
# many public bodies reach the registries through a proxy of their own.
export UV_SYSTEM_CERTS := true
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export NODE_EXTRA_CA_CERTS ?= /etc/ssl/certs/ca-certificates.crt
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1

# Caches live under HOME, or in the tree where HOME cannot be written.
ifneq ($(shell test -n "$$HOME" && mkdir -p "$$HOME/.cache" 2>/dev/null && \
	test -w "$$HOME/.cache" && echo yes),yes)
export UV_CACHE_DIR := $(CURDIR)/.tools/cache/uv
export npm_config_cache := $(CURDIR)/.tools/cache/npm
export GOPATH := $(CURDIR)/.tools/cache/go
export GOCACHE := $(CURDIR)/.tools/cache/go-build
export PIP_NO_CACHE_DIR := 1
endif

LIMIT = $(if $(MINUTES),--minutes $(MINUTES))
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(if $(UPGRADE),--upgrade)

.PHONY: help setup assets parts demo test lint format types policies pytest \
	bench soak wheel lock clean distclean

help:  ## list what can be made
	@grep -hE '^[a-z ]+:.*##' $(MAKEFILE_LIST) | \
		sed -E 's/:.*## /\t/' | expand -t 22

setup: $(READY)  ## install the locked dependencies and the command
	@:

$(UV_READY):
	@test -n "$(PYTHON)" || \
		{ echo "No Python 3.11 to 3.14 on PATH: name one as PYTHON=..."; \
		exit 1; }
	@echo "Set-up: uv"
	@rm -rf .tools/uv && mkdir -p .tools
	@if "$(PYTHON)" -m pip --version >/dev/null 2>&1; \
	then python="$(PYTHON)"; \
	else "$(PYTHON)" -m venv .tools/pip && python=.tools/pip/bin/python; fi; \
	"$$python" -m pip install --quiet --root-user-action=ignore \
		--no-deps --require-hashes \
		--only-binary :all: --target .tools/uv -r requirements-tools.lock
	@touch $@

$(READY): | $(UV_READY)
	@echo "Set-up: the locked dependencies"
	@$(RUN) -c '$(fits)' 2>/dev/null || \
		$(UV) venv --quiet --clear --python "$(PYTHON)" $(VENV)
	@rm -f $(VENV)/.ready-*
	@$(UV) pip sync --quiet --require-hashes --python $(RUN) \
		requirements-all.lock
	@$(UV) pip install --quiet --offline --no-deps --no-build-isolation \
		--python $(RUN) --editable .
	@touch $@

assets: $(READY)  ## fetch and build the third-party files of the pages
	@$(RUN) -m api.assets.build

parts: $(READY)  ## find or fetch OPA, PostgreSQL and Chromium
	@$(RUN) -m tests.parts

demo: assets  ## run the demo; SERVE=0 ends it before the pages are served
	@$(VENV)/bin/curtilage demo $(if $(filter 0,$(SERVE)),--no-serve)

test: assets  ## run every check: lint, types, policies, tests
	@$(RUN) -m tests.suite

lint types policies: $(READY)  ## one of the checks alone
	@$(RUN) -m tests.suite $@

pytest: assets  ## the tests alone; ARGS="-k name" goes to pytest
	@$(RUN) -m pytest $(ARGS)

format: $(READY)  ## format Python and Rego, and mend what lint can mend
	@$(RUN) -m ruff check --quiet --fix-only .
	@$(RUN) -m ruff format --quiet .
	@$(RUN) -m tests.suite --write policies

bench: assets  ## measure, into var/bench/*.json; FULL=1 all sizes, MINUTES=n a limit
	@$(RUN) -m tests.bench $(if $(FULL),--full) $(LIMIT)

soak: assets  ## run the platform under load for long
	@$(RUN) -m tests.bench --soak $(if $(FULL),--full) $(LIMIT)

wheel: assets  ## build the wheel, with policies, pages and assets in it
	@$(UV) build --quiet --wheel --offline --no-build-isolation \
		--python $(RUN) --out-dir dist .
	@ls -1 dist/*.whl

lock: $(UV_READY)  ## write the locks again; UPGRADE=1 takes newer versions
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) --all-extras --group test --group build pyproject.toml \
		-o requirements-all.lock
	@for lock in requirements-tools tests/parts/postgresql tests/parts/go; do \
		grep -oE '^[a-z-]+==[^ ]+' $$lock.lock | \
		$(if $(UPGRADE),sed 's/==.*//',cat) | \
		$(COMPILE) --no-deps - -o $$lock.lock || exit 1; done
	@cd api/assets && npm install --package-lock-only --silent

clean:  ## remove what set-up and runs leave, but not the fetched tools
	@rm -rf $(VENV) api/static/vendor api/assets/node_modules var build dist \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove the fetched tools too
	@rm -rf .tools
