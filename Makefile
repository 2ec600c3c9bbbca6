# Every target sets up what it needs in .venv; the second time that costs nothing.
PYTHON ?= python3
IN ?= data/samples/inbox-cp874.csv data/samples/chats.jsonl
OUT ?= verdicts.jsonl
TEXT ?= ยืนยันตัวตนด่วน โuนัaรอท่าน kbank.go-line000.cc โทร 081-000-5678
export TEXT
CONFIG ?= train/configs/default.yaml
HOST ?= 127.0.0.1
PORT ?= 8000

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help scan explain serve train test check format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

scan: .venv/scan ## scan the sample dump, or IN=path; verdicts go to OUT=verdicts.jsonl
	@$(BIN)/ruthan scan $(IN) --out $(OUT)

explain: .venv/scan ## judge one message, TEXT="…", and show why
	@$(BIN)/ruthan explain -- "$$TEXT"

serve: .venv/serve ## start the scan endpoint on HOST and PORT
	@$(BIN)/ruthan-serve --host $(HOST) --port $(PORT)

train: .venv/train ## train on the corpus, or as CONFIG=path says, into runs/
	@$(BIN)/python -m train run $(CONFIG)

test: .venv/dev ## run all tests
	@$(BIN)/python -m pytest

check: .venv/dev ## formatting, lint, types, and the corpus
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	@$(BIN)/python -m train.corpus check --quiet

format: .venv/dev ## put formatting right
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean: ## remove the environment and what tools left behind
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build dist

# One environment; each mark says which extras are in it.
.venv/python:
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found; install Python 3.11 or newer" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old; name a Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 2; }
	@echo "making .venv" && $(PYTHON) -m venv .venv && touch $@

.venv/scan: .venv/python pyproject.toml constraints.txt
	@echo "installing ruthan" && $(PIP) --editable . && touch $@

.venv/serve: .venv/scan
	@echo "installing ruthan[serve]" && $(PIP) --editable '.[serve]' && touch $@

.venv/train: .venv/scan
	@echo "installing ruthan[train]; this takes a minute" && $(PIP) --editable '.[train]' && touch $@

.venv/dev: .venv/serve .venv/train
	@echo "installing ruthan[dev]" && $(PIP) --editable '.[dumps,cluster,client,serve,postgres,redis,tracing,train,dev]' && touch $@
