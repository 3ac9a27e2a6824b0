# The verbs of this repository; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
UV ?= uv
# The interpreters to try; `make setup PYTHON=python3.12` names one.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)

.PHONY: help setup types demo demo-pipe demo-stdin demo-hosts test faults chaos bench bench-trees keys receiver emitter vectors docs lock clean
.PHONY: check check-format check-lint check-types check-imports check-prose

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything that the other verbs need

demo: setup ## watch two agents deliver a file over ZeroMQ, step by step
	@$(BIN)/selo demo --transport pair

demo-pipe: setup ## the same through a pipe between two processes
	@$(BIN)/selo demo --transport pipe

demo-stdin: setup ## pipe a tar of this repository through a session, and compare what arrives
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tests/demo_stdin.sh

demo-hosts: setup ## three hosts with their own addresses: IPv4, IPv6, a cable that is cut, a stranger; needs root
	@$(BIN)/python -m tests.hosts.demo

test: setup ## run the tests
	@$(BIN)/pytest --numprocesses 2 --dist loadfile

faults: setup ## every fault at every moment of every kind of delivery: some minutes
	@$(BIN)/pytest --numprocesses 2 --dist load -m "" tests/faults

chaos: setup ## deliveries under random faults, until one goes wrong: [N=500] [SEED=that of the first]
	@$(BIN)/python -m tests.faults.chaos $(if $(N),--number "$$N") $(if $(SEED),--seed "$$SEED")

bench: setup ## measure Selo beside raw ZeroMQ, CURVE, ssh, socat and spiped, as Markdown: [SIZE=1GiB] [ROUNDS=5]
	@$(BIN)/python bench/run.py $(if $(SIZE),--size "$$SIZE") $(if $(ROUNDS),--rounds "$$ROUNDS")

bench-trees: setup ## measure a folder and a large file beside tar and rsync over ssh: [FILES=100000] [SIZE=5GiB]
	@$(BIN)/python bench/trees.py $(if $(FILES),--files "$$FILES") $(if $(SIZE),--size "$$SIZE")

check: check-format check-lint check-types check-imports check-prose ## formatting, lint, types, who may import whom, and prose

keys: setup ## make this machine's identity unless it has one, and say how to exchange it: NAME=alice
	@$(call need,NAME)
	@$(BIN)/selo id >/dev/null 2>&1 || $(BIN)/selo keygen --name "$$NAME" --quiet >/dev/null
	@$(BIN)/selo id
	@echo
	@echo "give your peer the file above, and then, in this folder:"
	@echo "  on your peer's machine:   $(BIN)/selo trust add $$NAME FILE --may-send"
	@echo "  on this one, with theirs: $(BIN)/selo trust add PEER FILE --may-send"
	@echo "(without --may-send the peer can be sent to, and cannot send)"

receiver: setup ## wait for one delivery: FROM=alice [BIND=tcp://0.0.0.0:7800] [INTO=folder]
	@$(call need,FROM)
	@$(BIN)/selo receive --from "$$FROM" $(if $(BIND),--bind "$$BIND") $(if $(INTO),--into "$$INTO")

emitter: setup ## send one file: TO=bob CONNECT=tcp://host:7800 FILE=path
	@$(call need,TO)
	@$(call need,CONNECT)
	@$(call need,FILE)
	@$(BIN)/selo emit --to "$$TO" --connect "$$CONNECT" "$$FILE"

vectors: setup ## make the protocol's test vectors again
	@$(BIN)/python tests/vectors/make_vectors.py

docs: setup ## make the man pages and the shell completions again from the command line's grammar
	@$(BIN)/python docs/make_manual.py

lock: ## resolve the dependencies again and write both lock files; needs uv
	$(call compile) pyproject.toml --output-file requirements.lock
	$(call compile) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove everything that the verbs made
	rm -rf $(VENV) .types build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

check-format: setup
	$(BIN)/ruff format --check .

check-lint: setup
	$(BIN)/ruff check .

check-types: setup types
	$(BIN)/mypy -p selo

# From outside the root, or the rooms would be found as top-level packages; an empty analysis is a failure.
check-imports: setup types
	cd .types && PYTHONPATH="$$PWD" ../$(BIN)/lint-imports --config ../pyproject.toml --no-cache | tee imports.txt
	@grep -Eq 'Analyzed [1-9][0-9]+ files, [1-9][0-9]+ dependencies' .types/imports.txt

check-prose: setup
	$(BIN)/pytest -q tests/house/test_prose.py

# A person's variables reach the recipes through the environment, so no shell ever parses their text.
need = if [ -z "$${$(1):-}" ]; then \
	    echo "make $@: $(1) is missing; \`make help\` shows what to give" >&2; exit 2; fi

compile = env -u PIP_FIND_LINKS $(UV) pip compile --no-config --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

# Type checkers and the import contract do not follow editable installs: they read these links.
types:
	@mkdir -p .types/selo
	@for room in agents config crypto transport; do ln -sfn "../../$$room" .types/selo/; done
	@for part in selo/*.py selo/py.typed; do ln -sfn "../../$$part" .types/selo/; done
	@for link in .types/selo/*; do [ -e "$$link" ] || rm "$$link"; done

$(STAMP): requirements-dev.lock pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(BIN)/python:
	@for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$candidate; break; fi; \
	done; \
	if [ -z "$${python:-}" ]; then \
	    echo "make setup: needs Python 3.11 or later; tried $(CANDIDATES)" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip' 2>/dev/null; then \
	    package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
	    if ! command -v apt-get >/dev/null || ! $$as_root true 2>/dev/null; then \
	        echo "make setup: $$python cannot make virtual environments yet; run: sudo apt-get install $$package" >&2; \
	        exit 1; fi; \
	    echo "make setup: installing $$package" >&2; \
	    $$as_root apt-get update -qq >&2; \
	    $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$$package" >&2; \
	fi; \
	"$$python" -m venv --clear $(VENV)
