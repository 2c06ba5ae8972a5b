# The one definition of every command. Each target does its own set-up, in a virtual environment inside the checkout.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock pyproject.toml

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.demo ## Active learning on handwritten digits, then a pool of a million rows
	$(BIN)/querist demo

.PHONY: test
test: lint $(VENV)/.test ## Everything that must hold: format, lints, types, Rust tests, the wheel, pytest
	cargo test --locked --workspace
	cargo test --locked --manifest-path fuzz/Cargo.toml
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --doctest-modules --pyargs querist
	$(BIN)/python -m mypy.stubtest querist._core

# Apart from `make test`, as tracing slows tests that are Python themselves by more than half. Those left out are about
# the numbers of the core.
.PHONY: coverage
coverage: $(VENV)/.test ## That the tests run every line of the Python package
	$(BIN)/python -m pytest --cov --ignore=tests/test_accuracy.py --ignore=tests/test_levels.py

.PHONY: bench
bench: $(VENV)/.bench ## Rivals side by side, answers checked before anything is timed
	$(BIN)/python -m pytest benches --record

.PHONY: bench-check
bench-check: $(VENV)/.demo ## Instructions of the main kernels, by valgrind, against benches/record/callgrind.json
	$(BIN)/python benches/instructions.py

.PHONY: fuzz
fuzz: ## cargo-fuzz (nightly Rust) on every target for SECONDS_EACH, by default 60
	@for target in strided sparse scores committee votes picks; do \
	  mkdir -p fuzz/corpus/$$target; \
	  cargo +nightly fuzz run --features libfuzzer $$target fuzz/corpus/$$target fuzz/seeds/$$target \
	    -- -max_total_time=$(or $(SECONDS_EACH),60) -print_final_stats=1 || exit 1; \
	done

.PHONY: leaks
leaks: $(VENV)/.test ## Every public function under valgrind: nothing read or written outside, nothing lost
	$(BIN)/python tools/leaks.py

# Its Rust tests and pytest together; needs cargo-llvm-cov and rustup's llvm-tools. Without LTO, which takes minutes.
.PHONY: coverage-rust
coverage-rust: $(VENV)/.test ## Which lines of the Rust code the tests run
	source <(cargo llvm-cov show-env --sh) && export CARGO_PROFILE_RELEASE_LTO=off && \
	cargo llvm-cov clean --workspace && cargo test --locked --release --workspace && \
	cargo build --locked --release --package querist-py && rm -rf target/coverage && mkdir -p target/coverage && \
	cp -r python/querist target/coverage/ && cp target/release/lib_core.so target/coverage/querist/_core.abi3.so && \
	PYTHONPATH=$(CURDIR)/target/coverage $(BIN)/python -m pytest && cargo llvm-cov report --release

.PHONY: lint
lint: $(VENV)/.lint ## Check format, clippy, ruff and strict types
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --lib --tests -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.lint ## Rewrite the sources in the house format
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: wheel
wheel: $(VENV)/.wheel ## Build the release wheel and the sdist into dist/, twice over, checked and tried (Linux)
	tools/wheel.sh $(BIN)

.PHONY: clean
clean: ## Remove everything that these targets make
	rm -rf $(VENV) target dist .coverage fuzz/target fuzz/corpus fuzz/artifacts

# pip >= 25.1 knows dependency groups.
$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.demo: $(VENV)/.pip $(SOURCES) $(shell find python -name '*.py*' -not -path '*__pycache__*')
	$(BIN)/pip install --quiet '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/pip install --quiet --group test --group lint
	touch $@

$(VENV)/.bench: $(VENV)/.demo
	$(BIN)/pip install --quiet --group bench
	touch $@

$(VENV)/.lint: $(VENV)/.demo
	$(BIN)/pip install --quiet --group lint
	touch $@

$(VENV)/.wheel: $(VENV)/.pip
	$(BIN)/pip install --quiet --group wheel
	touch $@
